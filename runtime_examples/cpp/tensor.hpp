// What every other file speaks of: an error a person can act on, and a tensor with its shape.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
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

// What no type of C++17 is alone.
struct Bool {
  std::uint8_t value;
};
struct Half {  // IEEE 754 binary16
  std::uint16_t bits;
};

using Values = std::variant<std::vector<float>, std::vector<double>, std::vector<Half>, std::vector<Bool>,
                            std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::int16_t>,
                            std::vector<std::int32_t>, std::vector<std::int64_t>>;

// How a contract, a safetensors file and ONNX Runtime spell a dtype; each stands at the place of its
// alternative of Values.
struct Dtype {
  const char *name, *stored;
  int element_type;
};
inline constexpr Dtype kDtypes[] = {{"float32", "F32", 1}, {"float64", "F64", 11}, {"float16", "F16", 10},
                                    {"bool", "BOOL", 9},   {"uint8", "U8", 2},     {"int8", "I8", 3},
                                    {"int16", "I16", 5},   {"int32", "I32", 6},    {"int64", "I64", 7}};

inline double to_number(Half half) {
  const int exponent = half.bits >> 10 & 0x1f;
  const double fraction = half.bits & 0x3ff, sign = half.bits >> 15 ? -1 : 1;
  if (exponent == 0x1f) return fraction > 0 ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  return sign * (exponent > 0 ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}
inline double to_number(Bool value) { return value.value != 0 ? 1 : 0; }
template <class T>
double to_number(T value) {
  return static_cast<double>(value);
}

// A dense row-major tensor.
struct Tensor {
  Shape shape;
  Values values;

  const Dtype& dtype() const { return kDtypes[values.index()]; }
  std::size_t size() const {
    return std::visit([](const auto& all) { return all.size(); }, values);
  }

  std::vector<double> numbers() const {
    return std::visit(
        [](const auto& all) {
          std::vector<double> numbers;
          numbers.reserve(all.size());
          for (const auto value : all) numbers.push_back(to_number(value));
          return numbers;
        },
        values);
  }

  // The `count` values from `begin` on, in a shape of their own.
  Tensor part(const Shape& own, std::size_t begin, std::size_t count) const {
    const auto cut = [&](const auto& all) -> Values {
      const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
      return std::decay_t<decltype(all)>(from, from + static_cast<std::ptrdiff_t>(count));
    };
    return {own, std::visit(cut, values)};
  }

  // Every place along an axis `count` times; where the tensor has no such axis it stays as it is.
  Tensor repeated(std::size_t axis, std::int64_t count) const {
    if (axis >= shape.size() || count == 1) return *this;
    Shape own = shape;
    own[axis] *= count;
    std::size_t inner = 1;
    for (std::size_t at = axis; at < shape.size(); ++at) inner *= static_cast<std::size_t>(shape[at]);
    const auto repeat = [&](const auto& all) -> Values {
      std::decay_t<decltype(all)> made;
      for (auto from = all.begin(); from != all.end(); from += static_cast<std::ptrdiff_t>(inner)) {
        for (std::int64_t copy = 0; copy < count; ++copy) {
          made.insert(made.end(), from, from + static_cast<std::ptrdiff_t>(inner));
        }
      }
      return made;
    };
    return {own, std::visit(repeat, values)};
  }

  // Writes place `other_at` of another tensor along an axis over place `at`; else both are alike.
  void set_place(std::size_t axis, std::int64_t at, const Tensor& other, std::int64_t other_at) {
    const std::int64_t count = shape.at(axis), others = other.shape.at(axis);
    if (at < 0 || at >= count || other_at < 0 || other_at >= others) {
      throw BundleError("row " + std::to_string(other_at) + " of " + std::to_string(others) +
                        " is to become row " + std::to_string(at) + " of " + std::to_string(count) +
                        ", expected rows that there are; they count from 0");
    }
    std::ptrdiff_t inner = 1;
    for (std::size_t next = axis + 1; next < shape.size(); ++next) {
      inner *= static_cast<std::ptrdiff_t>(shape[next]);
    }
    const auto write = [&](auto& all) {
      const auto& from = std::get<std::decay_t<decltype(all)>>(other.values);
      const auto most = std::max<std::ptrdiff_t>(1, count * inner);
      const auto blocks = static_cast<std::ptrdiff_t>(all.size()) / most;
      for (std::ptrdiff_t block = 0; block < blocks; ++block) {
        std::copy_n(from.begin() + (block * others + other_at) * inner, inner,
                    all.begin() + (block * count + at) * inner);
      }
    };
    std::visit(write, values);
  }

  const std::vector<float>& floats() const { return get<float>("float32"); }
  const std::vector<std::int64_t>& integers() const { return get<std::int64_t>("int64"); }

 private:
  template <class T>
  const std::vector<T>& get(const char* expected) const {
    const auto* found = std::get_if<std::vector<T>>(&values);
    if (found == nullptr) {
      throw BundleError(std::string("a tensor of another dtype where ") + expected + " was expected");
    }
    return *found;
  }
};

using Tensors = std::map<std::string, Tensor>;
using State = Tensors;  // by the names that the contract gives its states

inline constexpr std::size_t kMostElements = std::size_t{1}
                                             << 26;  // far more than a step has: memory stays bounded

// The number of elements of a shape; throws where an axis is negative or the product does not fit.
inline std::size_t element_count(const Shape& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kMostElements / static_cast<std::size_t>(size))) {
      throw BundleError("an axis of " + std::to_string(size) +
                        " elements; expected a tensor of at most 2^26; export the bundle again");
    }
    count *= static_cast<std::size_t>(size);
  }
  return count;
}

inline std::string to_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  }
  return text + "]";
}

// The place of a dtype in kDtypes by its name in a contract or, where `stored`, in a safetensors file; throws
// where it is none.
inline std::size_t dtype_at(const std::string& name, bool stored, const std::string& what) {
  for (std::size_t index = 0; index < std::size(kDtypes); ++index) {
    if (name == (stored ? kDtypes[index].stored : kDtypes[index].name)) return index;
  }
  throw BundleError(
      what + " is " + name +
      ", expected bool, uint8, int8 to int64 or float16 to float64; use an example that reads it");
}

namespace tensor_detail {

template <std::size_t kIndex = 0>
Values copy(std::size_t dtype, const void* data, std::size_t count) {
  if constexpr (kIndex + 1 < std::variant_size_v<Values>) {
    if (dtype != kIndex) return copy<kIndex + 1>(dtype, data, count);
  }
  std::variant_alternative_t<kIndex, Values> values(count);
  if (count > 0 && data != nullptr) std::memcpy(values.data(), data, count * sizeof(values[0]));
  return values;
}

}  // namespace tensor_detail

// Values of the dtype at this place, of the bytes of a file or of a runtime, or zeros. The bytes are
// little-endian, as every machine that this runs on.
inline Values to_values(std::size_t dtype, const void* data, std::size_t count) {
  return tensor_detail::copy(dtype, data, count);
}

inline Tensor zeros(const std::string& dtype, const Shape& shape) {
  return {shape, to_values(dtype_at(dtype, false, "a tensor"), nullptr, element_count(shape))};
}

// What an integer vector of one row is as the tokens [1, T] of a step.
inline Tensor token_row(std::vector<std::int64_t> ids) {
  Shape shape{1, static_cast<std::int64_t>(ids.size())};
  return {std::move(shape), std::move(ids)};
}

}  // namespace edgernn
