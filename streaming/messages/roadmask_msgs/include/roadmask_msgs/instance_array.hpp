// Reads and writes roadmask_msgs/InstanceArray, version 1, and expands its masks. C++17, no dependencies, no exceptions
// of its own, no global state. Fields, units and constants are documented in ../../msg/*.msg.
//
//   std::string error;
//   std::optional<roadmask_msgs::InstanceArray> message = roadmask_msgs::decode(data, size, &error);
//   if (!message) return report(error);
//   for (const auto& instance : message->instances) {
//     std::vector<roadmask_msgs::Span> spans;
//     if (roadmask_msgs::mask_spans(instance.mask, message->height, message->width, spans, &error)) ...
//   }
//
// The bytes are those of ROS 2: XCDR version 1, little endian, with the four bytes of encapsulation in front. Damaged
// bytes give an error; they are never read past their end, and no count in them allocates more memory than they fill.

#ifndef ROADMASK_MSGS_INSTANCE_ARRAY_HPP_
#define ROADMASK_MSGS_INSTANCE_ARRAY_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace roadmask_msgs {

constexpr std::uint16_t SCHEMA_VERSION = 1;

enum Status : std::uint8_t { STATUS_OK = 0, STATUS_DEGRADED = 1, STATUS_STALE = 2, STATUS_FAILED = 3 };

enum Reason : std::uint32_t {
  REASON_LATE = 1,
  REASON_RATE_CUT = 2,
  REASON_SIZE_CUT = 4,
  REASON_UNCALIBRATED = 8,
  REASON_FROZEN = 16,
  REASON_DARK = 32,
  REASON_SYNC = 64
};

enum State : std::uint8_t { STATE_TENTATIVE = 0, STATE_CONFIRMED = 1 };

enum RangeReason : std::uint8_t {
  RANGE_KNOWN = 0,
  RANGE_NOT_ESTIMATED = 1,
  RANGE_CUT = 2,
  RANGE_HIDDEN_FOOT = 3,
  RANGE_UNCALIBRATED = 4,
  RANGE_ABOVE_HORIZON = 5
};

enum InPath : std::uint8_t { PATH_NO = 0, PATH_YES = 1, PATH_UNKNOWN = 255 };

constexpr float UNKNOWN = std::numeric_limits<float>::quiet_NaN();

struct Time {
  std::int32_t sec = 0;
  std::uint32_t nanosec = 0;
};

struct Header {
  Time stamp;
  std::string frame_id;
};

struct FrameCount {
  std::string reason;
  std::uint64_t count = 0;
};

struct Instance {
  std::uint64_t track_id = 0;
  std::uint64_t age_ns = 0;
  std::uint16_t category_id = 0;
  std::uint8_t state = STATE_TENTATIVE;
  std::uint8_t range_reason = RANGE_NOT_ESTIMATED;
  std::uint8_t in_path = PATH_UNKNOWN;
  float score = 0;
  float x = 0, y = 0, width = 0, height = 0;
  float velocity_x = UNKNOWN, velocity_y = UNKNOWN;
  float distance = UNKNOWN, distance_sigma = UNKNOWN;
  float lateral = UNKNOWN, lateral_sigma = UNKNOWN;
  float closing_speed = UNKNOWN, closing_speed_sigma = UNKNOWN;
  float time_to_contact = UNKNOWN, time_to_contact_sigma = UNKNOWN;
  std::string category;
  std::vector<std::uint8_t> mask;
};

struct LostTrack {
  std::uint64_t track_id = 0;
  std::uint64_t unseen_ns = 0;
  std::uint16_t category_id = 0;
  float x = 0, y = 0, width = 0, height = 0;
  std::string category;
};

struct InstanceArray {
  Header header;
  std::uint16_t schema_version = SCHEMA_VERSION;
  std::string camera;
  std::string model;
  Time processed;
  std::uint64_t sequence = 0;
  std::uint32_t epoch = 0;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::uint8_t status = STATUS_OK;
  std::uint32_t reasons = 0;
  std::uint64_t captured = 0;
  std::uint64_t stored = 0;
  std::vector<FrameCount> dropped;
  std::vector<FrameCount> failed;
  std::vector<Instance> instances;
  std::vector<LostTrack> lost;
};

// A vertical run of pixels inside a mask: rows `top` to `bottom` - 1 of column `x`.
struct Span {
  std::uint32_t x = 0;
  std::uint32_t top = 0;
  std::uint32_t bottom = 0;
};

namespace detail {

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool failed() const { return error_ != nullptr; }
  const char* error() const { return error_; }
  std::size_t left() const { return size_ - at_; }

  void fail(const char* why) {
    if (error_ == nullptr) error_ = why;
  }

  void value(std::uint8_t& out) { out = static_cast<std::uint8_t>(integer(1)); }
  void value(std::uint16_t& out) { out = static_cast<std::uint16_t>(integer(2)); }
  void value(std::uint32_t& out) { out = static_cast<std::uint32_t>(integer(4)); }
  void value(std::uint64_t& out) { out = integer(8); }
  void value(std::int32_t& out) {
    const std::uint32_t bits = static_cast<std::uint32_t>(integer(4));
    std::memcpy(&out, &bits, sizeof out);
  }
  void value(float& out) {
    const std::uint32_t bits = static_cast<std::uint32_t>(integer(4));
    std::memcpy(&out, &bits, sizeof out);
  }
  void value(std::string& out) {
    const std::size_t length = count(1);
    if (failed()) return;
    if (length == 0 || data_[at_ + length - 1] != 0) return fail("a string does not end with a zero");
    out.assign(reinterpret_cast<const char*>(data_ + at_), length - 1);
    at_ += length;
  }
  void value(std::vector<std::uint8_t>& out) {
    const std::size_t length = count(1);
    if (failed()) return;
    out.assign(data_ + at_, data_ + at_ + length);
    at_ += length;
  }

  // Reads a count and checks that so many elements of at least `bytes_min` bytes can follow.
  std::size_t count(std::size_t bytes_min) {
    std::uint32_t found = 0;
    value(found);
    if (!failed() && found > left() / bytes_min) fail("a count is larger than what is left of the message");
    return failed() ? 0 : found;
  }

 private:
  std::uint64_t integer(std::size_t bytes) {
    const std::size_t start = (at_ + bytes - 1) / bytes * bytes;
    if (failed() || start > size_ || size_ - start < bytes) {
      fail("the message was cut off");
      return 0;
    }
    std::uint64_t bits = 0;
    for (std::size_t n = 0; n < bytes; ++n) bits |= static_cast<std::uint64_t>(data_[start + n]) << (8 * n);
    at_ = start + bytes;
    return bits;
  }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
  const char* error_ = nullptr;
};

class Writer {
 public:
  void value(std::uint8_t in) { integer(in, 1); }
  void value(std::uint16_t in) { integer(in, 2); }
  void value(std::uint32_t in) { integer(in, 4); }
  void value(std::uint64_t in) { integer(in, 8); }
  void value(std::int32_t in) { integer(static_cast<std::uint32_t>(in), 4); }
  void value(float in) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &in, sizeof bits);
    integer(bits, 4);
  }
  void value(const std::string& in) {
    integer(in.size() + 1, 4);
    bytes_.insert(bytes_.end(), in.begin(), in.end());
    bytes_.push_back(0);
  }
  void value(const std::vector<std::uint8_t>& in) {
    integer(in.size(), 4);
    bytes_.insert(bytes_.end(), in.begin(), in.end());
  }
  void count(std::size_t in) { integer(in, 4); }

  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  void integer(std::uint64_t bits, std::size_t bytes) {
    while ((bytes_.size() - 4) % bytes != 0) bytes_.push_back(0);
    for (std::size_t n = 0; n < bytes; ++n) bytes_.push_back(static_cast<std::uint8_t>(bits >> (8 * n)));
  }

  std::vector<std::uint8_t> bytes_ = {0, 1, 0, 0};
};

// One list of the fields for both directions, in the order of the .msg files.
template <class Archive, class Message>
void instance_numbers(Archive& archive, Message& one) {
  archive.value(one.track_id);
  archive.value(one.age_ns);
  archive.value(one.category_id);
  archive.value(one.state);
  archive.value(one.range_reason);
  archive.value(one.in_path);
  archive.value(one.score);
  archive.value(one.x);
  archive.value(one.y);
  archive.value(one.width);
  archive.value(one.height);
  archive.value(one.velocity_x);
  archive.value(one.velocity_y);
  archive.value(one.distance);
  archive.value(one.distance_sigma);
  archive.value(one.lateral);
  archive.value(one.lateral_sigma);
  archive.value(one.closing_speed);
  archive.value(one.closing_speed_sigma);
  archive.value(one.time_to_contact);
  archive.value(one.time_to_contact_sigma);
  archive.value(one.category);
  archive.value(one.mask);
}

template <class Archive, class Message>
void lost_fields(Archive& archive, Message& one) {
  archive.value(one.track_id);
  archive.value(one.unseen_ns);
  archive.value(one.category_id);
  archive.value(one.x);
  archive.value(one.y);
  archive.value(one.width);
  archive.value(one.height);
  archive.value(one.category);
}

template <class Archive, class Message>
void count_fields(Archive& archive, Message& one) {
  archive.value(one.reason);
  archive.value(one.count);
}

template <class Archive, class Message>
void top_fields(Archive& archive, Message& message) {
  archive.value(message.header.stamp.sec);
  archive.value(message.header.stamp.nanosec);
  archive.value(message.header.frame_id);
  archive.value(message.schema_version);
  archive.value(message.camera);
  archive.value(message.model);
  archive.value(message.processed.sec);
  archive.value(message.processed.nanosec);
  archive.value(message.sequence);
  archive.value(message.epoch);
  archive.value(message.height);
  archive.value(message.width);
  archive.value(message.status);
  archive.value(message.reasons);
  archive.value(message.captured);
  archive.value(message.stored);
}

inline bool report(std::string* error, const char* why) {
  if (error != nullptr) *error = why;
  return false;
}

}  // namespace detail

// Returns the message in `size` bytes at `data`; nothing if they are damaged, or another message or version, in which
// case `error` (if given) says why.
inline std::optional<InstanceArray> decode(const std::uint8_t* data, std::size_t size, std::string* error = nullptr) {
  if (data == nullptr || size < 4 || data[0] != 0 || data[1] != 1) {
    detail::report(error, "the bytes do not begin like CDR, little endian (00 01)");
    return std::nullopt;
  }
  detail::Reader reader(data + 4, size - 4);
  InstanceArray message;
  // The version stands behind the header; a message of another version would be misread.
  {
    detail::Reader head = reader;
    Header header;
    std::uint16_t version = 0;
    head.value(header.stamp.sec);
    head.value(header.stamp.nanosec);
    head.value(header.frame_id);
    head.value(version);
    if (!head.failed() && version != SCHEMA_VERSION) {
      detail::report(error, "the message has another schema_version");
      return std::nullopt;
    }
  }
  detail::top_fields(reader, message);
  for (std::vector<FrameCount>* counts : {&message.dropped, &message.failed}) {
    const std::size_t count = reader.count(13);
    for (std::size_t n = 0; n < count && !reader.failed(); ++n) detail::count_fields(reader, counts->emplace_back());
  }
  const std::size_t instances = reader.count(89);
  for (std::size_t n = 0; n < instances && !reader.failed(); ++n) {
    detail::instance_numbers(reader, message.instances.emplace_back());
  }
  const std::size_t lost = reader.count(41);
  for (std::size_t n = 0; n < lost && !reader.failed(); ++n) detail::lost_fields(reader, message.lost.emplace_back());
  if (!reader.failed() && reader.left() > 3) reader.fail("bytes are left behind the message");
  if (reader.failed()) {
    detail::report(error, reader.error());
    return std::nullopt;
  }
  return message;
}

// Returns a message as CDR, the bytes that ROS 2 and DDS carry.
inline std::vector<std::uint8_t> encode(const InstanceArray& message) {
  detail::Writer writer;
  detail::top_fields(writer, message);
  for (const std::vector<FrameCount>* counts : {&message.dropped, &message.failed}) {
    writer.count(counts->size());
    for (const FrameCount& each : *counts) detail::count_fields(writer, each);
  }
  writer.count(message.instances.size());
  for (const Instance& each : message.instances) detail::instance_numbers(writer, each);
  writer.count(message.lost.size());
  for (const LostTrack& each : message.lost) detail::lost_fields(writer, each);
  return writer.take();
}

// Appends the vertical spans of a mask to `spans`, column by column from the left. Returns false, and says why in
// `error` (if given), if the mask is damaged or of an image of another size; `spans` then holds what came before.
inline bool mask_spans(const std::vector<std::uint8_t>& mask, std::uint32_t height, std::uint32_t width,
                       std::vector<Span>& spans, std::string* error = nullptr) {
  const std::uint64_t pixels = static_cast<std::uint64_t>(height) * width;
  std::int64_t before_last = 0, last = 0;  // the lengths of the two runs before
  std::uint64_t pixel = 0;
  std::size_t at = 0;
  for (std::size_t run = 0; at < mask.size(); ++run) {
    std::int64_t value = 0;
    for (unsigned digit = 0;; ++digit) {
      if (at == mask.size()) return detail::report(error, "a mask ends inside a number");
      if (digit == 7) return detail::report(error, "a mask has a number of too many digits");
      const unsigned bits = static_cast<unsigned>(mask[at++]) - 48u;
      if (bits > 63u) return detail::report(error, "a mask has a byte that is no digit");
      value += static_cast<std::int64_t>(bits & 31u) * (std::int64_t{1} << (5 * digit));
      if ((bits & 32u) == 0) {
        if ((bits & 16u) != 0) value -= std::int64_t{1} << (5 * (digit + 1));
        break;
      }
    }
    const std::int64_t length = run > 2 ? value + before_last : value;
    if (length < 0 || static_cast<std::uint64_t>(length) > pixels - pixel) {
      return detail::report(error, "a mask is larger than its image");
    }
    before_last = last;
    last = length;
    std::uint64_t inside = static_cast<std::uint64_t>(run % 2 == 1 ? length : 0);
    pixel += static_cast<std::uint64_t>(length);
    for (std::uint64_t start = pixel - inside; inside > 0;) {
      const std::uint64_t top = start % height;
      const std::uint64_t taken = inside < height - top ? inside : height - top;
      spans.push_back({static_cast<std::uint32_t>(start / height), static_cast<std::uint32_t>(top),
                       static_cast<std::uint32_t>(top + taken)});
      start += taken;
      inside -= taken;
    }
  }
  if (pixel != pixels) return detail::report(error, "a mask is smaller than its image");
  return true;
}

// Writes `value` to every pixel of a row-major image of height x width that the mask covers; other pixels stay. `image`
// must hold height * width elements. Returns false, and says why in `error` (if given), if the mask is damaged; the
// image is then left as it was.
template <class Pixel>
bool expand_mask(const std::vector<std::uint8_t>& mask, std::uint32_t height, std::uint32_t width, Pixel value,
                 Pixel* image, std::string* error = nullptr) {
  std::vector<Span> spans;
  if (!mask_spans(mask, height, width, spans, error)) return false;
  for (const Span& span : spans) {
    for (std::uint32_t y = span.top; y < span.bottom; ++y) image[static_cast<std::size_t>(y) * width + span.x] = value;
  }
  return true;
}

}  // namespace roadmask_msgs

#endif  // ROADMASK_MSGS_INSTANCE_ARRAY_HPP_
