// A look at the database's table files before the database believes them. Debian's RocksDB is built with
// assertions, and takes a table's block of properties apart before it looks at the block's checksum.
#pragma once
#include <string>

namespace hindcast::storage {

/// What makes the tables in `folder` unfit to be opened, as text for people; empty if nothing does. Files
/// without a table's end are passed over: the database notices them itself, or they were never finished and
/// it does not want them. `every_byte`: also what only verify() cares for, bytes of the end that nothing
/// depends on or that switch checksums off. Format: RocksDB's "BlockBasedTable Format", version 5.
std::string table_problem(const std::string& folder, bool every_byte);

}  // namespace hindcast::storage
