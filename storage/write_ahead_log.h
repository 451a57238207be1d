// A look at the database's log files before the database believes them. Debian's RocksDB is built with
// assertions, and ends the process at a record that stands in its log twice.
#pragma once
#include <string>

namespace hindcast::storage {

/// What makes the log files in `folder` unfit to be opened (a record repeated, or one that goes back in the
/// sequence of writes), as text for people; empty if nothing does. Records whose checksum is wrong are passed
/// over: the database notices them itself. Format: RocksDB's "Write Ahead Log File Format", blocks of 32 KiB.
std::string log_problem(const std::string& folder);

/// What is wrong with the list of files that counts (CURRENT says which), a log too; empty if nothing is. The
/// database forgives a last record that is broken, as if its writer had been killed. A recording that was
/// closed has none.
std::string manifest_problem(const std::string& folder);

}  // namespace hindcast::storage
