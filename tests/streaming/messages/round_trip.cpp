// Reads messages (32-bit length, bytes) from a file. For each it prints one line: `error WHY`, or `ok`, the hash of the
// message written again, and the number of pixels and hash of every mask, or `damaged`.
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "roadmask_msgs/instance_array.hpp"

namespace {

std::uint64_t hash(const std::uint8_t* data, std::size_t size) {  // FNV-1a
  std::uint64_t value = 14695981039346656037ull;
  for (std::size_t n = 0; n < size; ++n) value = (value ^ data[n]) * 1099511628211ull;
  return value;
}

}  // namespace

int main(int, char** arguments) {
  std::ifstream file(arguments[1], std::ios::binary);
  const std::vector<char> all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (std::size_t at = 0; at + 4 <= all.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, all.data() + at, 4);
    // A copy of the exact size: AddressSanitizer sees a read past its end.
    const std::vector<std::uint8_t> bytes(all.begin() + static_cast<long>(at) + 4,
                                          all.begin() + static_cast<long>(at) + 4 + size);
    at += 4 + size;
    std::string error;
    const auto message = roadmask_msgs::decode(bytes.data(), bytes.size(), &error);
    if (!message) {
      std::printf("error %s\n", error.c_str());
      continue;
    }
    const std::vector<std::uint8_t> again = roadmask_msgs::encode(*message);
    std::printf("ok %016" PRIx64, hash(again.data(), again.size()));
    if (static_cast<std::uint64_t>(message->height) * message->width <= 1u << 20) {
      for (const auto& instance : message->instances) {
        std::vector<std::uint8_t> image(static_cast<std::size_t>(message->height) * message->width);
        if (roadmask_msgs::expand_mask<std::uint8_t>(instance.mask, message->height, message->width, 1, image.data())) {
          std::uint64_t inside = 0;
          for (const std::uint8_t pixel : image) inside += pixel;
          std::printf(" %" PRIu64 ":%016" PRIx64, inside, hash(image.data(), image.size()));
        } else {
          std::printf(" damaged");
        }
      }
    }
    std::printf("\n");
  }
  return 0;
}
