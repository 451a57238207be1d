#include "storage/merged_iterator.h"

#include <string>

namespace hindcast::storage {

void MergedIterator::SeekToFirst() {
  for (auto& part : parts_) part->SeekToFirst();
  choose();
}

void MergedIterator::Seek(const rocksdb::Slice& target) {
  for (auto& part : parts_) part->Seek(target);
  choose();
}

void MergedIterator::SeekToLast() {
  for (auto& part : parts_) part->SeekToLast();
  seek_to_largest();
}

void MergedIterator::SeekForPrev(const rocksdb::Slice& target) {
  for (auto& part : parts_) part->SeekForPrev(target);
  seek_to_largest();
}

void MergedIterator::Next() {
  current_->Next();
  choose();
}

rocksdb::Status MergedIterator::status() const {
  for (const auto& part : parts_)
    if (!part->status().ok()) return part->status();
  return {};
}

void MergedIterator::choose() {
  current_ = nullptr;
  // A part that failed would be passed over in silence.
  if (!status().ok()) return;
  for (auto& part : parts_)
    if (part->Valid() && (current_ == nullptr || part->key().compare(current_->key()) < 0))
      current_ = part.get();
}

void MergedIterator::seek_to_largest() {
  const rocksdb::Iterator* largest = nullptr;
  for (const auto& part : parts_)
    if (part->Valid() && (largest == nullptr || part->key().compare(largest->key()) > 0))
      largest = part.get();
  current_ = nullptr;
  if (largest == nullptr || !status().ok()) return;
  const std::string key = largest->key().ToString();
  Seek(key);
}

}  // namespace hindcast::storage
