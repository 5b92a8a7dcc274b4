// The contract of a bundle: which tensors go into and come out of each graph, with their dtypes, axes and
// roles.
#pragma once

#include <algorithm>

#include "json.hpp"

namespace edgernn {

inline constexpr char kBatch[] = "batch", kTime[] = "time", kLayers[] = "layers";

struct TensorSpec {
  std::string name, role, dtype, below;  // below: the axis whose size bounds the values, or empty
  std::vector<std::string> axes;

  bool has(const std::string& axis) const { return std::count(axes.begin(), axes.end(), axis) > 0; }
};

struct Graph {
  std::vector<TensorSpec> inputs, outputs;

  // The tensors of one role: "input", "context", "state" or "output".
  static std::vector<TensorSpec> with_role(const std::vector<TensorSpec>& tensors, std::string_view role) {
    std::vector<TensorSpec> found;
    for (const TensorSpec& tensor : tensors) {
      if (tensor.role == role) found.push_back(tensor);
    }
    return found;
  }
};

// The sizes of a run's open axes: batch, time, and those that encode chooses.
using Sizes = std::map<std::string, std::int64_t>;

inline std::string next_name(const std::string& state) { return state + "_next"; }

class Contract {
 public:
  Contract() = default;

  // Throws BundleError where the contract does not hold together.
  Contract(const Json& entry, std::int64_t version) {
    for (const Json& graph : entry.at("graphs").array()) {
      graphs[graph.at("name").string()] = {read_tensors(graph.at("inputs")),
                                           read_tensors(graph.at("outputs"))};
    }
    for (const auto& [axis, size] : entry.at("sizes").object()) {
      sizes[axis] = size.integer();
      if (sizes[axis] < 1) {
        throw BundleError("the axis " + axis +
                          " has the size 0, expected 1 or more; export the bundle again");
      }
    }
    if (const Json* frames = entry.find("step_frames")) step_frames = frames->integer();
    if (const Json* frames = entry.find("latency_frames")) {
      frames->integer();  // throws where it is no number from 0
    }
    if (step_frames < 1) {
      throw BundleError("a step takes 0 frames, expected 1 or more; export the bundle again");
    }
    read_initial_state(entry, version);
    check();
  }

  const Graph& graph(const std::string& name) const {
    if (const auto found = graphs.find(name); found != graphs.end()) return found->second;
    throw BundleError("manifest.json has no graph named " + name + "; give the bundle of another model");
  }

  // Whether a graph is to run once before the first step.
  bool encodes() const { return graphs.count("encode") > 0; }

  // Where the first value of a state comes from: "zeros", "stored" or "encode".
  std::string first_of(const std::string& state) const {
    const auto found = initial_state.find(state);
    return found != initial_state.end() ? found->second : "zeros";
  }

  std::vector<TensorSpec> states() const { return Graph::with_role(graph("step").inputs, "state"); }

  // The shape of a tensor in a run. Without a size of its own, batch is one row and time the frames of one
  // step.
  Shape shape(const TensorSpec& tensor, const Sizes& run = {}) const {
    Shape shape;
    for (const std::string& axis : tensor.axes) {
      const auto fixed = sizes.find(axis), own = run.find(axis);
      if (fixed != sizes.end()) shape.push_back(fixed->second);
      else if (own != run.end()) shape.push_back(own->second);
      else if (axis == kBatch) shape.push_back(1);
      else if (axis == kTime) shape.push_back(step_frames);
      else throw BundleError("the contract gives no size to the axis " + axis + "; export the bundle again");
    }
    return shape;
  }

  // Takes over what a tensor says of the open axes of a run.
  void learn(const TensorSpec& tensor, const Shape& shape, Sizes& run) const {
    for (std::size_t axis = 0; axis < tensor.axes.size() && shape.size() == tensor.axes.size(); ++axis) {
      const std::string& name = tensor.axes[axis];
      if (sizes.count(name) == 0) run.emplace(name, shape[axis]);
    }
  }

  // Of text: the step's only fresh input, the token ids, and its output of one number per token.
  TensorSpec token_input() const {
    const auto fresh = Graph::with_role(graph("step").inputs, "input");
    if (fresh.size() != 1 || fresh[0].dtype != "int64" || fresh[0].below.empty()) {
      throw BundleError(
          "the step takes something other than token ids; this example writes text, expected one int64 "
          "input");
    }
    return fresh[0];
  }

  // How many token ids there are.
  std::int64_t vocabulary() const {
    const auto size = sizes.find(token_input().below);
    if (size == sizes.end()) {
      throw BundleError("the contract gives no size to the axis " + token_input().below +
                        "; export the bundle again");
    }
    return size->second;
  }

  TensorSpec logits_output() const {
    for (const TensorSpec& output : graph("step").outputs) {
      if (output.role == "output" && !output.axes.empty() && output.axes.back() == token_input().below) {
        return output;
      }
    }
    throw BundleError("the step gives no output over the axis " + token_input().below +
                      "; export the bundle again");
  }

  std::map<std::string, Graph> graphs;
  std::map<std::string, std::int64_t> sizes;
  std::map<std::string, std::string> initial_state;  // state → "stored" or "encode"; others start at zeros
  std::int64_t step_frames = 1;                      // frames along time that one step takes

 private:
  static std::vector<TensorSpec> read_tensors(const Json& tensors) {
    std::vector<TensorSpec> found;
    for (const Json& entry : tensors.array()) {
      TensorSpec tensor{
          entry.at("name").string(), entry.at("role").string(), entry.at("dtype").string(), "", {}};
      if (const Json* below = entry.find("below"); below != nullptr && !below->is_null()) {
        tensor.below = below->string();
      }
      for (const Json& axis : entry.at("axes").array()) {
        if (tensor.has(axis.string())) {
          throw BundleError(tensor.name + " has an axis twice; export the bundle again");
        }
        tensor.axes.push_back(axis.string());
      }
      dtype_at(tensor.dtype, false, tensor.name);
      for (const TensorSpec& other : found) {
        if (other.name == tensor.name) {
          throw BundleError("a graph has two tensors named " + tensor.name + "; export the bundle again");
        }
      }
      found.push_back(std::move(tensor));
    }
    return found;
  }

  // Version 1 has one word for all states, later ones a word for each.
  void read_initial_state(const Json& entry, std::int64_t version) {
    const Json* given = entry.find("initial_state");
    if (version > 1 && given != nullptr) {
      for (const auto& [state, word] : given->object()) initial_state[state] = word.string();
    }
    const std::string word = version > 1 ? "zeros" : entry.at("initial_state").string();
    for (const TensorSpec& state : states()) {
      if (word != "zeros") initial_state[state.name] = word == "learned" ? "stored" : word;
    }
  }

  void check() const {
    const Graph& step = graph("step");
    for (const auto& [name, word] : initial_state) check_first(name, word);
    for (const TensorSpec& state : states()) {
      const auto next = [&](const TensorSpec& other) {
        return other.role == "state" && other.name == next_name(state.name) && other.dtype == state.dtype &&
               other.axes == state.axes;
      };
      if (std::none_of(step.outputs.begin(), step.outputs.end(), next)) {
        throw BundleError("the step does not return " + next_name(state.name) + " as it takes " + state.name +
                          "; export the bundle again");
      }
    }
    if (Graph::with_role(step.outputs, "state").size() != states().size()) {
      throw BundleError("the step returns a state that it does not take; export the bundle again");
    }
    Sizes open;  // what encode chooses
    for (const TensorSpec& context : Graph::with_role(step.inputs, "context")) {
      learn(context, Shape(context.axes.size(), 1), open);
    }
    if (encodes()) {
      for (const TensorSpec& given : graph("encode").inputs) learn(given, Shape(given.axes.size(), 1), open);
    }
    for (const auto& [name, each] : graphs) {
      if (name != "step" && name != "encode") continue;
      for (const auto* tensors : {&each.inputs, &each.outputs}) {
        for (const TensorSpec& tensor : *tensors) element_count(shape(tensor, open));
      }
    }
  }

  void check_first(const std::string& name, const std::string& word) const {
    const auto named = [&](const TensorSpec& tensor) {
      return tensor.name == name && tensor.role == "state";
    };
    const auto has = [&](const std::vector<TensorSpec>& tensors) {
      return std::any_of(tensors.begin(), tensors.end(), named);
    };
    if (!has(graph("step").inputs)) {
      throw BundleError("initial_state names " + name + ", which is no state; export the bundle again");
    }
    if (word != "stored" && word != "encode") {
      throw BundleError("the state " + name + " begins with " + word +
                        ", expected stored or encode; export the bundle again");
    }
    if (word == "encode" && (!encodes() || !has(graph("encode").outputs))) {
      throw BundleError("the state " + name +
                        " is to come from encode, which gives none; export the bundle again");
    }
  }
};

}  // namespace edgernn
