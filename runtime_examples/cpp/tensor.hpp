// What every other file speaks of: an error a person can act on, and a tensor with its shape.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace edgernn {

// Bad input. The text is one line: what was wrong, the value seen, what was expected, what to do.
struct BundleError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Shape = std::vector<std::int64_t>;
using Values = std::variant<std::vector<float>, std::vector<std::int64_t>, std::vector<std::uint8_t>>;

// A dense row-major tensor of float32, int64 or uint8.
struct Tensor {
  Shape shape;
  Values values;

  const std::vector<float>& floats() const { return get<float>("float32"); }
  const std::vector<std::int64_t>& integers() const { return get<std::int64_t>("int64"); }

 private:
  template <class T>
  const std::vector<T>& get(const char* expected) const {
    const auto* found = std::get_if<std::vector<T>>(&values);
    if (found == nullptr) throw BundleError(std::string("a tensor of another dtype where ") + expected + " was expected");
    return *found;
  }
};

using Tensors = std::map<std::string, Tensor>;
using State = Tensors;  // by the names that the contract gives its states, each [L, 1, H]

inline constexpr std::size_t kMostElements = std::size_t{1} << 26;  // far more than a step has: memory stays bounded

// The number of elements of a shape; throws where an axis is negative or the product does not fit.
inline std::size_t element_count(const Shape& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kMostElements / static_cast<std::size_t>(size))) {
      throw BundleError("an axis of " + std::to_string(size) + " elements; expected a tensor of at most 2^26; export the bundle again");
    }
    count *= static_cast<std::size_t>(size);
  }
  return count;
}

inline std::string to_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

// What an integer vector of one row is as the tokens [1, T] of a step.
inline Tensor token_row(std::vector<std::int64_t> ids) {
  Shape shape{1, static_cast<std::int64_t>(ids.size())};
  return {std::move(shape), std::move(ids)};
}

}  // namespace edgernn
