// Replays the bundle's recorded run on this device and measures how far each tensor goes from it. Where an output would make the
// run too large, it has a few numbers of it instead: OUTPUT.columns and the values there, the largest values, and the log-sum.
#pragma once

#include "model.hpp"

namespace edgernn {

struct Line {
  std::string name;
  double worst, tolerance;
  bool ok() const { return worst <= tolerance; }  // a measure that is no number fails
};

// How far the file may be from the recording, as the manifest says.
inline double tolerance_of(const Artifact& artifact) {
  if (artifact.tolerance) return *artifact.tolerance;
  throw BundleError("manifest.json does not say how far " + artifact.path + " may be from the golden run; export the bundle again");
}

// The differences of one tensor over a run.
class Drift {
 public:
  void add(const float* expected, const float* found, std::size_t count) {
    double largest = 0, difference = 0, squares = 0, difference_squares = 0;
    for (std::size_t index = 0; index < count; ++index) {
      const double apart = static_cast<double>(expected[index]) - found[index], size = expected[index];
      finite_ = finite_ && std::isfinite(apart);
      largest = std::max(largest, std::abs(size)), difference = std::max(difference, std::abs(apart));
      squares += size * size, difference_squares += apart * apart;
    }
    largest_ = std::max(largest_, largest), difference_ = std::max(difference_, difference);
    const auto n = static_cast<double>(std::max<std::size_t>(count, 1));
    steps_.emplace_back(std::sqrt(squares / n), std::sqrt(difference_squares / n));
  }

  double worst(bool forced) const {
    if (!finite_) return std::numeric_limits<double>::infinity();
    if (!forced) return difference_ / std::max(1.0, largest_);
    double squares = 0, worst = 0;
    for (const auto& [size, apart] : steps_) squares += size * size;
    const double over_run = std::sqrt(squares / static_cast<double>(steps_.size()));
    constexpr double kLeast = 1e-3;  // a tensor smaller than this in every value is as good as zero
    for (const auto& [size, apart] : steps_) worst = std::max(worst, apart / std::max({size, over_run, kLeast}));
    return worst;
  }

 private:
  double largest_ = 0, difference_ = 0;
  bool finite_ = true;
  std::vector<std::pair<double, double>> steps_;  // root mean squares: of the recording, of the difference
};

class Golden {
 public:
  explicit Golden(const Bundle& bundle)
      : bundle_(bundle), tensors_(read_safetensors(bundle.read(bundle.golden_path), bundle.golden_path)) {
    const Graph& step = bundle.graph("step");
    steps_ = static_cast<std::int64_t>(recorded(bundle.token_input().name).shape.at(0));
    if (steps_ < 1) throw BundleError(bundle.golden_path + " has no steps; export the bundle again");
    for (const TensorSpec& tensor : step.inputs) require(tensor, tensor.role == "input");
    for (const TensorSpec& tensor : step.outputs) {
      if (is_short(tensor)) require_parts(tensor);
      else require(tensor, true);
    }
    if (bundle.captions()) {
      for (const TensorSpec& tensor : bundle.graph("encode").inputs) require(tensor, false);
      for (const TensorSpec& tensor : bundle.graph("encode").outputs) require(tensor, false);
    }
  }

  std::int64_t steps() const { return steps_; }

  // The tokens of one step and every context.
  Tensors inputs(std::int64_t step) const {
    Tensors inputs;
    const std::string name = bundle_.token_input().name;
    inputs[name] = token_row({recorded(name).integers().at(static_cast<std::size_t>(step))});
    for (const TensorSpec& tensor : Graph::with_role(bundle_.graph("step").inputs, "context")) {
      inputs[tensor.name] = recorded(tensor.name);
    }
    return inputs;
  }

  // The recorded state before a step.
  State state_before(std::int64_t step) const {
    State state;
    for (const TensorSpec& tensor : Graph::with_role(bundle_.graph("step").inputs, "state")) {
      if (step == 0) {
        state[tensor.name] = recorded(tensor.name);
        continue;
      }
      const float* values = at(next_name(tensor.name), step - 1);
      const Shape shape = bundle_.shape(tensor);
      state[tensor.name] = {shape, std::vector<float>(values, values + element_count(shape))};
    }
    return state;
  }

  // Runs the whole recording: encode's tensors first where there are any, then every output and state of step.
  std::vector<Line> check(const Model& model) const {
    std::vector<Line> lines;
    if (bundle_.captions()) check_encode(model, lines);
    const double tolerance = tolerance_of(model.artifact());
    const bool forced = model.artifact().forced;
    std::map<std::string, Drift> drifts;
    State state = state_before(0);
    for (std::int64_t step = 0; step < steps_; ++step) {
      if (forced) state = state_before(step);
      Results results = model.step(inputs(step), state);
      state = std::move(results.state);
      for (const TensorSpec& tensor : Graph::with_role(bundle_.graph("step").outputs, "output")) {
        const std::vector<float>& values = results.outputs.at(tensor.name).floats();
        for (const auto& [name, own] : compared(tensor, values, step)) drifts[name].add(at(name, step), own.data(), own.size());
      }
      for (const auto& [name, tensor] : state) compare_state(next_name(name), tensor, step, forced, drifts);
    }
    for (const auto& [name, drift] : drifts) lines.push_back({name, drift.worst(forced), tolerance});
    return lines;
  }

 private:
  bool is_short(const TensorSpec& tensor) const { return tensors_.count(tensor.name) == 0 && tensors_.count(tensor.name + ".columns") > 0; }

  // What is recorded of an output at a step, by name, as this device has it.
  std::map<std::string, std::vector<float>> compared(const TensorSpec& tensor, const std::vector<float>& values,
                                                     std::int64_t step) const {
    if (!is_short(tensor)) return {{tensor.name, values}};
    const auto& columns = recorded(tensor.name + ".columns").integers();
    const auto& all = recorded(tensor.name + ".largest_ids").integers();
    const std::size_t count = all.size() / static_cast<std::size_t>(steps_);
    std::vector<float> at_columns, largest;
    for (const std::int64_t id : columns) at_columns.push_back(values[static_cast<std::size_t>(id)]);
    for (std::size_t index = 0; index < count; ++index) {
      largest.push_back(values[static_cast<std::size_t>(all[static_cast<std::size_t>(step) * count + index])]);
    }
    const double top = *std::max_element(values.begin(), values.end());
    double sum = 0;  // no number where one of the values is none
    for (const float value : values) sum += std::exp(value - top);
    const auto log_sum = static_cast<float>(top + std::log(sum));
    return {{tensor.name + ".at_columns", at_columns}, {tensor.name + ".largest", largest}, {tensor.name + ".log_sum", {log_sum}}};
  }

  // Makes sure that the parts of an output are of the shapes that belong together, and their ids below its size.
  void require_parts(const TensorSpec& tensor) const {
    const Shape whole = bundle_.shape(tensor);
    const std::string& name = tensor.name;
    const Shape columns = recorded(name + ".columns").shape, ids = recorded(name + ".largest_ids").shape;
    Shape before(whole.begin(), whole.end() - (whole.empty() ? 0 : 1)), with_columns, with_largest;
    before.insert(before.begin(), steps_);
    with_columns = with_largest = before;
    with_columns.push_back(columns.size() == 1 ? columns[0] : -1);
    with_largest.push_back(ids.empty() ? -1 : ids.back());
    const bool fits = ids == with_largest && recorded(name + ".at_columns").shape == with_columns &&
                      recorded(name + ".largest").shape == with_largest && recorded(name + ".log_sum").shape == before;
    for (const char* part : {".at_columns", ".largest", ".log_sum"}) recorded(name + part).floats();
    for (const char* part : {".columns", ".largest_ids"}) {
      for (const std::int64_t id : recorded(name + part).integers()) {
        if (!fits || element_count(before) != static_cast<std::size_t>(steps_) || id < 0 || id >= whole.back()) {
          throw BundleError(bundle_.golden_path + " has parts of " + name + " that do not fit it; export the bundle again");
        }
      }
    }
  }

  void check_encode(const Model& model, std::vector<Line>& lines) const {
    const Results made = model.encode(recorded(Graph::with_role(bundle_.graph("encode").inputs, "input").at(0).name));
    const Artifact& artifact = bundle_.choose(model.artifact().format, "encode", {});
    for (const Tensors& group : {made.outputs, made.state}) {
      for (const auto& [name, tensor] : group) {
        Drift drift;
        drift.add(recorded(name).floats().data(), tensor.floats().data(), tensor.floats().size());
        lines.push_back({name, drift.worst(artifact.forced), tolerance_of(artifact)});
      }
    }
  }

  // In a forced run each layer by itself: an error in one of three would be small in all of them together.
  void compare_state(const std::string& name, const Tensor& state, std::int64_t step, bool forced,
                     std::map<std::string, Drift>& drifts) const {
    const std::size_t layers = forced ? static_cast<std::size_t>(state.shape.at(0)) : 1, size = state.floats().size() / layers;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const std::string row = forced ? name + "[" + std::to_string(layer) + "]" : name;
      drifts[row].add(at(name, step) + layer * size, state.floats().data() + layer * size, size);
    }
  }

  const Tensor& recorded(const std::string& name) const {
    if (const auto found = tensors_.find(name); found != tensors_.end()) return found->second;
    throw BundleError(bundle_.golden_path + " has no tensor " + name + "; export the bundle again");
  }

  const float* at(const std::string& name, std::int64_t step) const {
    const std::vector<float>& values = recorded(name).floats();
    return values.data() + static_cast<std::size_t>(step) * (values.size() / static_cast<std::size_t>(steps_));
  }

  void require(const TensorSpec& tensor, bool per_step) const {
    Shape expected = bundle_.shape(tensor);
    if (per_step) expected.insert(expected.begin(), steps_);
    const std::size_t kind = tensor.dtype == "float32" ? 0 : tensor.dtype == "int64" ? 1 : 2;
    if (const Tensor& found = recorded(tensor.name); found.shape != expected || found.values.index() != kind) {
      throw BundleError(bundle_.golden_path + " has " + tensor.name + " as " + to_text(found.shape) + ", expected " +
                  tensor.dtype + " " + to_text(expected) + "; export the bundle again");
    }
  }

  const Bundle& bundle_;
  Tensors tensors_;
  std::int64_t steps_ = 0;
};

}  // namespace edgernn
