// Several column families, read as one in the order of their keys.
#pragma once
#include <rocksdb/iterator.h>

#include <memory>
#include <vector>

namespace hindcast::storage {

/// Forward only: after SeekForPrev() and SeekToLast() too, Next() is what may follow. A key that several of
/// the families have appears once from each.
class MergedIterator final : public rocksdb::Iterator {
 public:
  explicit MergedIterator(std::vector<std::unique_ptr<rocksdb::Iterator>> parts) : parts_(std::move(parts)) {}

  bool Valid() const override { return current_ != nullptr && current_->Valid(); }
  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(const rocksdb::Slice& target) override;
  void SeekForPrev(const rocksdb::Slice& target) override;
  void Next() override;
  /// Not supported: nothing is valid afterwards.
  void Prev() override { current_ = nullptr; }
  rocksdb::Slice key() const override { return current_->key(); }
  rocksdb::Slice value() const override { return current_->value(); }
  /// The first part's that is not well.
  rocksdb::Status status() const override;

 private:
  /// The part with the smallest key becomes the current one.
  void choose();
  /// Goes on at the largest key at which a part stands now.
  void seek_to_largest();

  std::vector<std::unique_ptr<rocksdb::Iterator>> parts_;
  rocksdb::Iterator* current_ = nullptr;
};

}  // namespace hindcast::storage
