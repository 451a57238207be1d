#include "replay/state_server.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "replay/event_format.h"
#include "replay/navigator.h"
#include "replay/touched_pages.h"
#include "storage/merkle.h"

namespace hindcast::replay {
namespace {

using Json = nlohmann::ordered_json;

storage::CheckpointBlock block_of(const RamBlock& ram) {
  storage::CheckpointBlock out;
  out.name = ram.name;
  out.base = ram.base;
  out.size = ram.size;
  for_each_page(
      ram, [&](u64 number, ByteView content) { out.pages.emplace_back(number, storage::page_id(content)); });
  return out;
}

Json vcpu_json(Vcpu& vcpu) {
  const Architecture& arch = vcpu.arch();
  Json registers = Json::object();
  for (unsigned row = 0; row < arch.registers().size(); ++row) {
    if (arch.registers()[row].offset >= arch.state_bytes()) continue;  // follows from the others
    registers[arch.registers()[row].name] = fmt::format("{:#x}", arch.read_register(vcpu, row));
  }
  Bytes code;
  for (unsigned i = 0; i < arch.max_insn_bytes(); ++i) {
    u8 byte = 0;
    if (!vcpu.read_memory(vcpu.pc() + i, &byte, 1)) break;
    code.push_back(byte);
  }
  std::string text;
  const unsigned length = arch.disassemble(vcpu.pc(), code, text);
  return {{"pc", fmt::format("{:#x}", vcpu.pc())},
          {"executed", vcpu.executed()},
          {"insn", length == 0 ? "" : text},
          {"interrupt_pending", arch.interrupt_pending(vcpu)},
          {"registers", registers}};
}

/// Also where the guest has no memory: by the base of any block that is saved.
bool read_saved(const AddressSpace& memory, GuestAddr address, Bytes& out) {
  for (const RamBlock* block : memory.saved_blocks()) {
    if (address - block->base >= block->size || out.size() > block->size - (address - block->base)) continue;
    std::copy_n(block->host + (address - block->base), out.size(), out.begin());
    return true;
  }
  return false;
}

}  // namespace

struct StateServer::Impl {
  std::unique_ptr<Navigator> navigator;

  Json reply(const std::string& request);
  Json hash();
  Json dump();
};

Json StateServer::Impl::hash() {
  Machine& machine = navigator->machine();
  std::vector<storage::CheckpointBlock> blocks;
  for (const RamBlock* ram : machine.memory().saved_blocks()) blocks.push_back(block_of(*ram));
  SaveArchive state;
  machine.state(state);
  return {{"at", navigator->position()}, {"hash", hex(storage::checkpoint_root(state.take(), blocks))}};
}

Json StateServer::Impl::dump() {
  Machine& machine = navigator->machine();
  Json vcpus = Json::array(), fields = Json::object(), memory = Json::array();
  for (unsigned i = 0; i < machine.vcpu_count(); ++i) vcpus.push_back(vcpu_json(machine.vcpu(i)));
  TextArchive text;
  machine.state(text);
  for (const TextArchive::Field& field : text.fields())
    fields[field.section + "." + field.name] = hex(field.value);
  for (const RamBlock* ram : machine.memory().saved_blocks()) {
    Json pages = Json::object();
    for (const auto& [number, id] : block_of(*ram).pages)
      pages[std::to_string(number)] = fmt::format("{:016x}{:016x}", id.high, id.low);
    memory.push_back({{"name", ram->name}, {"base", ram->base}, {"pages", pages}});
  }
  return {{"at", navigator->position()}, {"vcpus", vcpus}, {"fields", fields}, {"memory", memory}};
}

Json StateServer::Impl::reply(const std::string& request) {
  std::istringstream words(request);
  std::string what;
  words >> what;
  if (what == "hello")
    return {{"states", kVersion},
            {"begin", navigator->begin()},
            {"end", navigator->end()},
            {"executed", navigator->executed()}};
  Icount at = 0;
  if (!(words >> at)) return {{"error", "no icount in: " + request}};
  if (at < navigator->begin()) return {{"error", fmt::format("icount {} is before the beginning", at)}};
  if (at > navigator->end()) return {{"error", fmt::format("icount {} is beyond the end", at)}};
  try {
    navigator->seek(at);
  } catch (const Divergence& divergence) {
    return {{"left_path", navigator->position()}, {"why", divergence.what()}};
  }
  if (what == "hash") return hash();
  if (what == "dump") return dump();
  GuestAddr address = 0;
  u64 size = 0;
  if (what != "memory" || !(words >> address >> size) || size > kMaxMemory)
    return {{"error", "not understood: " + request}};
  Bytes bytes(size);
  if (!read_saved(navigator->machine().memory(), address, bytes))
    return {{"error", fmt::format("there is no memory at {:#x}", address)}};
  return {{"at", at}, {"bytes", hex(bytes)}};
}

StateServer::StateServer(const std::string& path, const EngineOptions& engine)
    : impl_(std::make_unique<Impl>()) {
  impl_->navigator = Navigator::open(path, engine, false);
  impl_->navigator->prepare_bisection();
}

StateServer::~StateServer() = default;

std::string StateServer::answer(const std::string& request) {
  Json reply;
  try {
    reply = impl_->reply(request);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& problem) {
    reply = {{"error", problem.what()}};
  }
  return reply.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void StateServer::serve() {
  char* line = nullptr;
  std::size_t room = 0;
  struct Free {
    char*& line;
    ~Free() { std::free(line); }
  } free_line{line};
  while (::getline(&line, &room, stdin) > 0) {
    std::string request = line;
    while (!request.empty() && (request.back() == '\n' || request.back() == '\r')) request.pop_back();
    const std::string reply = answer(request) + "\n";
    if (std::fwrite(reply.data(), 1, reply.size(), stdout) != reply.size() || std::fflush(stdout) != 0)
      return;
  }
}

}  // namespace hindcast::replay
