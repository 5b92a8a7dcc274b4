// What an .onnx file may ask of the runtime, read as protocol-buffer fields before the runtime sees the file.
// Expected is a whole file of ONNX's own operators and two of onnxruntime's. Another file that holds weights,
// operators of somebody else's and functions are refused by name, in every sub-graph and attribute. The
// numbers are those of onnx.proto.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "tensor.hpp"

namespace edgernn {

class OnnxGuard {
 public:
  // Throws where a model needs more than itself and the runtime, or is none; `path` names it in the message.
  static void check(std::string_view model, const std::string& path) {
    const OnnxGuard guard(path);
    if (model.substr(0, 8).find("ORTM", 4) == 4) {
      guard.damaged();  // the runtime would read it as a format of its own
    }
    guard.walk(Message::model, model, 0);
  }

 private:
  enum class Message { model, graph, node, attribute, tensor };
  using Key = std::pair<Message, std::uint64_t>;

  struct Field {
    std::uint64_t number = 0, value = 0;
    bool has_bytes = false;  // of a text, message or packed list
    std::string_view bytes;
  };

  explicit OnnxGuard(const std::string& path) : path_(path) {}

  void walk(Message of, std::string_view message, int depth) const {
    static const std::map<Key, Message> kInner = {
        {{Message::model, 7}, Message::graph},      {{Message::graph, 1}, Message::node},
        {{Message::graph, 5}, Message::tensor},     {{Message::node, 5}, Message::attribute},
        {{Message::attribute, 5}, Message::tensor}, {{Message::attribute, 6}, Message::graph},
        {{Message::attribute, 10}, Message::tensor}, {{Message::attribute, 11}, Message::graph}};
    static const std::map<Key, std::string> kRefused = {
        {{Message::model, 20}, "brings graphs for training; expected a graph to run"},
        {{Message::model, 25}, "brings functions of its own; expected ONNX's operators alone"},
        {{Message::graph, 15}, "has a sparse constant; expected none"},
        {{Message::attribute, 22}, "has a sparse constant; expected none"},
        {{Message::attribute, 23}, "has a sparse constant; expected none"}};
    constexpr int kMostDepth = 100;  // of messages, as in the protocol-buffer library
    if (depth > kMostDepth) damaged();
    std::map<std::uint64_t, std::string_view> texts;  // an operator's type and domain, a tensor's name
    bool external = false;
    while (!message.empty()) {
      const Field field = next(message);
      if (field.has_bytes && field.number < 9) texts[field.number] = field.bytes;
      external =
          external || field.number == 13 || (field.number == 14 && (field.has_bytes || field.value != 0));
      if (const auto found = kRefused.find({of, field.number}); found != kRefused.end()) {
        refuse(found->second);
      }
      if (const auto found = kInner.find({of, field.number}); field.has_bytes && found != kInner.end()) {
        walk(found->second, field.bytes, depth + 1);
      }
    }
    if (of == Message::tensor && external) {
      refuse("keeps the constant " + shown(texts[8]) + " in another file; expected all of it in this one");
    }
    if (of == Message::node) check_node(texts[4], texts[7]);
  }

  void check_node(std::string_view op, std::string_view domain) const {
    if (domain.empty() || domain == "ai.onnx") return;
    if (domain == "com.microsoft" && (op == "MatMulNBits" || op == "GatherBlockQuantized")) return;
    refuse("uses the operator " + shown(op) + " of the domain " + shown(domain) +
           "; expected ONNX's own, or MatMulNBits or GatherBlockQuantized of com.microsoft");
  }

  static std::string shown(std::string_view text) { return std::string(text.substr(0, 100)); }

  // Takes the next field off a message.
  Field next(std::string_view& message) const {
    const std::uint64_t key = number(message);
    if (key >> 32 != 0) damaged();  // the runtime would read another field
    Field field;
    field.number = key >> 3;
    std::uint64_t length = 0;
    switch (key & 7) {
      case 0: field.value = number(message); break;
      case 1: length = 8; break;
      case 2: length = number(message), field.has_bytes = true; break;
      case 5: length = 4; break;
      default: damaged();
    }
    if (length > message.size()) damaged();
    field.bytes = message.substr(0, static_cast<std::size_t>(length));
    message.remove_prefix(static_cast<std::size_t>(length));
    return field;
  }

  std::uint64_t number(std::string_view& message) const {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && !message.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message.front());
      message.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
    damaged();
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw BundleError(path_ + " " + what + "; do not use this bundle");
  }

  [[noreturn]] void damaged() const {
    throw BundleError(path_ + " is no ONNX model; expected one; export the bundle again");
  }

  const std::string& path_;
};

}  // namespace edgernn
