// Which Arm board an image is for: by the architecture that it names, and by where its bytes lie.
#pragma once
#include <string>

#include "engine/types.h"
#include "targets/machines/boot.h"

namespace hindcast::machines {

/// The board that an ELF image without -M runs on; empty if there is none, or it is not for Arm's M profile.
/// Images that do not say their architecture are for mps2-an385.
std::string board_for_image(ByteView image);

/// Why board_for_image() has none for an Arm image, and what to do: one line. Empty for other images.
std::string why_no_board(const std::string& name, ByteView image);

/// The boards but `board` that have memory for all of a plan, as the end of a message; empty if there is
/// none.
std::string other_boards(const BootPlan& plan, const std::string& board);

}  // namespace hindcast::machines
