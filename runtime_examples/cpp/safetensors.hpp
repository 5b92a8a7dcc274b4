// Reads a safetensors file: 8 bytes little-endian header length, a JSON header, the tensors' bytes.
#pragma once

#include "json.hpp"

namespace edgernn {

namespace safetensors_detail {

inline Tensor read_tensor(const Json& entry, std::string_view data, const std::string& what) {
  const std::string& dtype = entry.at("dtype").string();
  const std::size_t place = dtype_at(dtype, true, what);
  const std::size_t width =
      std::visit([](const auto& all) { return sizeof(all[0]); }, to_values(place, nullptr, 0));
  Shape shape;
  for (const Json& size : entry.at("shape").array()) shape.push_back(size.integer());
  const Json::Array& offsets = entry.at("data_offsets").array();
  if (offsets.size() != 2) throw BundleError(what + " has no two offsets; export the bundle again");
  const auto begin = static_cast<std::size_t>(offsets[0].integer()),
             end = static_cast<std::size_t>(offsets[1].integer());
  if (begin > end || end > data.size() || end - begin != element_count(shape) * width) {
    throw BundleError(what + " does not lie within its file as its shape " + to_text(shape) +
                      " says; export the bundle again");
  }
  return {shape, to_values(place, data.data() + begin, element_count(shape))};
}

}  // namespace safetensors_detail

// Every tensor of the file by name. `source` names the file in errors.
inline Tensors read_safetensors(std::string_view file, const std::string& source) {
  std::uint64_t length = 0;
  for (std::size_t index = 0; index < 8 && index < file.size(); ++index) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(file[index])) << (8 * index);
  }
  if (file.size() < 8 || length > file.size() - 8) {
    throw BundleError(source + " is no safetensors file: its header does not fit into its " +
                      std::to_string(file.size()) + " bytes; export the bundle again");
  }
  const Json header = Json::parse(file.substr(8, length), source);
  Tensors tensors;
  for (const auto& [name, entry] : header.object()) {
    if (name == "__metadata__") continue;
    tensors[name] = safetensors_detail::read_tensor(entry, file.substr(8 + length), source + ": " + name);
  }
  return tensors;
}

}  // namespace edgernn
