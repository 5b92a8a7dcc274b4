// Replays the bundle's recorded run on this device and measures how far each tensor goes from it. Where an
// output would make the run too large, it has a few numbers of it instead: OUTPUT.columns and the values
// there, the largest values, and the log-sum.
#pragma once

#include "drift.hpp"
#include "model.hpp"

namespace edgernn {

class Golden {
 public:
  explicit Golden(const Bundle& bundle)
      : contract_(bundle.contract),
        path_(bundle.golden_path),
        tensors_(read_safetensors(bundle.read(path_), path_)) {
    const Graph& step = contract_.graph("step");
    read_steps(step);
    for (const TensorSpec& tensor : Graph::with_role(step.inputs, "context")) {
      contract_.learn(tensor, recorded(tensor.name).shape, sizes_);
    }
    for (const TensorSpec& tensor : step.inputs) require(tensor, tensor.role == "input", sizes_);
    for (const TensorSpec& tensor : step.outputs) {
      if (is_short(tensor)) require_parts(tensor);
      else require(tensor, true, sizes_);
    }
    if (!contract_.encodes()) return;
    Sizes given = sizes_;
    for (const TensorSpec& tensor : contract_.graph("encode").inputs) {
      contract_.learn(tensor, recorded(tensor.name).shape, given);
      require(tensor, false, given);
    }
    for (const TensorSpec& tensor : contract_.graph("encode").outputs) require(tensor, false, given);
  }

  std::int64_t steps() const { return steps_; }

  // The fresh inputs of one step and every context.
  Tensors inputs(std::int64_t step) const {
    Tensors inputs;
    for (const TensorSpec& tensor : contract_.graph("step").inputs) {
      if (tensor.role == "input") {
        inputs[tensor.name] = at(tensor.name, step, contract_.shape(tensor, sizes_));
      }
      if (tensor.role == "context") inputs[tensor.name] = recorded(tensor.name);
    }
    return inputs;
  }

  // The recorded state before a step.
  State state_before(std::int64_t step) const {
    State state;
    for (const TensorSpec& tensor : contract_.states()) {
      state[tensor.name] = step == 0 ? recorded(tensor.name)
                                     : at(next_name(tensor.name), step - 1, contract_.shape(tensor, sizes_));
    }
    return state;
  }

  // Runs the whole recording: encode's tensors first where there are any, then every output and state of
  // step.
  std::vector<Line> check(const Model& model) const {
    std::vector<Line> lines;
    const bool forced = model.artifact().forced;
    if (contract_.encodes()) check_encode(model, lines);
    tolerance_of(model.artifact());  // throws where there is none
    Drifts drifts;
    State state = state_before(0);
    for (std::int64_t step = 0; step < steps_; ++step) {
      if (forced) state = state_before(step);
      Results results = model.step(inputs(step), state);
      state = std::move(results.state);
      for (const TensorSpec& tensor : contract_.graph("step").outputs) {
        if (tensor.role == "state") {
          const std::string before = tensor.name.substr(0, tensor.name.size() - next_name("").size());
          compare_state(tensor, state.at(before), step, forced, drifts);
          continue;
        }
        for (const auto& [name, own] : compared(tensor, results.outputs.at(tensor.name).numbers(), step)) {
          drifts.at(name).add(at(name, step, {}).numbers(), own);
        }
      }
    }
    drifts.write(model.artifact(), false, lines);
    return lines;
  }

 private:
  bool is_short(const TensorSpec& tensor) const {
    return tensor.role == "output" && tensors_.count(tensor.name) == 0 &&
           tensors_.count(tensor.name + ".columns") > 0;
  }

  void read_steps(const Graph& step) {
    std::vector<TensorSpec> counted = Graph::with_role(step.inputs, "input");
    if (counted.empty()) counted = Graph::with_role(step.outputs, "state");
    const Shape shape = counted.empty() ? Shape{} : recorded(counted[0].name).shape;
    steps_ = shape.empty() ? 0 : shape[0];
    if (steps_ < 1) throw BundleError(path_ + " has no steps; export the bundle again");
  }

  // What is recorded of an output at a step, by name, as this device has it.
  std::vector<std::pair<std::string, std::vector<double>>> compared(const TensorSpec& tensor,
                                                                    const std::vector<double>& values,
                                                                    std::int64_t step) const {
    if (!is_short(tensor)) return {{tensor.name, values}};
    const auto& columns = recorded(tensor.name + ".columns").integers();
    const auto width = static_cast<std::size_t>(contract_.shape(tensor, sizes_).back());
    const std::vector<double> ids = at(tensor.name + ".largest_ids", step, {}).numbers();
    const std::size_t rows = values.size() / width, kept = ids.size() / rows;
    std::vector<double> at_columns, largest, log_sums;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(row * width);
      const auto last = first + static_cast<std::ptrdiff_t>(width);
      for (const std::int64_t id : columns) at_columns.push_back(first[id]);
      for (std::size_t index = 0; index < kept; ++index) {
        largest.push_back(first[static_cast<std::ptrdiff_t>(ids[row * kept + index])]);
      }
      const double top = *std::max_element(first, last);
      double sum = 0;  // no number where one of the values is none
      for (auto value = first; value != last; ++value) sum += std::exp(*value - top);
      const double log_sum = top + std::log(sum);
      log_sums.push_back(tensor.dtype == "float64" ? log_sum
                                                   : static_cast<float>(log_sum));  // as it is recorded
    }
    return {{tensor.name + ".at_columns", at_columns},
            {tensor.name + ".largest", largest},
            {tensor.name + ".log_sum", log_sums}};
  }

  // Makes sure that the parts of an output are of the shapes that belong together, and their ids below its
  // size.
  void require_parts(const TensorSpec& tensor) const {
    const Shape whole = contract_.shape(tensor, sizes_);
    const std::string& name = tensor.name;
    const Shape columns = recorded(name + ".columns").shape, ids = recorded(name + ".largest_ids").shape;
    Shape before(whole.begin(), whole.end() - (whole.empty() ? 0 : 1)), with_columns, with_largest;
    before.insert(before.begin(), steps_);
    with_columns = with_largest = before;
    with_columns.push_back(columns.size() == 1 ? columns[0] : -1);
    with_largest.push_back(ids.empty() ? -1 : ids.back());
    bool fits =
        !whole.empty() && ids == with_largest && recorded(name + ".at_columns").shape == with_columns &&
        recorded(name + ".largest").shape == with_largest && recorded(name + ".log_sum").shape == before;
    for (const char* part : {".at_columns", ".largest", ".log_sum"}) {
      fits = fits && recorded(name + part).dtype().name == tensor.dtype;
    }
    for (const char* part : {".columns", ".largest_ids"}) {
      for (const std::int64_t id : recorded(name + part).integers()) {
        if (!fits || id < 0 || id >= whole.back()) {
          throw BundleError(path_ + " has parts of " + name + " that do not fit it; export the bundle again");
        }
      }
    }
  }

  void check_encode(const Model& model, std::vector<Line>& lines) const {
    Tensors given;
    for (const TensorSpec& tensor : contract_.graph("encode").inputs) {
      given[tensor.name] = recorded(tensor.name);
    }
    const Tensors made = model.encode(given);
    Drifts drifts;
    for (const TensorSpec& tensor : contract_.graph("encode").outputs) {
      drifts.at(tensor.name).add(recorded(tensor.name).numbers(), made.at(tensor.name).numbers());
    }
    drifts.write(model.bundle.choose(model.artifact().format, "encode", {}), true, lines);
  }

  // In a forced run each layer by itself: an error in one of three would be small in all of them together.
  void compare_state(const TensorSpec& tensor, const Tensor& state, std::int64_t step, bool forced,
                     Drifts& drifts) const {
    const std::vector<double> own = state.numbers(), wanted = at(tensor.name, step, {}).numbers();
    const auto axis = static_cast<std::size_t>(std::find(tensor.axes.begin(), tensor.axes.end(), kLayers) -
                                               tensor.axes.begin());
    if (!forced || axis == tensor.axes.size()) {
      drifts.at(tensor.name).add(wanted, own);
      return;
    }
    const auto layers = static_cast<std::size_t>(state.shape[axis]);
    const std::size_t inner =
        element_count(Shape(state.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, state.shape.end()));
    for (std::size_t layer = 0; layer < layers; ++layer) {
      std::vector<double> expected, found;
      for (std::size_t index = 0; index < own.size(); ++index) {
        if (index / inner % layers != layer) continue;
        expected.push_back(wanted[index]), found.push_back(own[index]);
      }
      drifts.at(tensor.name + "[" + std::to_string(layer) + "]").add(expected, found);
    }
  }

  const Tensor& recorded(const std::string& name) const {
    if (const auto found = tensors_.find(name); found != tensors_.end()) return found->second;
    throw BundleError(path_ + " has no tensor " + name + "; export the bundle again");
  }

  // What is recorded of a tensor at a step.
  Tensor at(const std::string& name, std::int64_t step, const Shape& shape) const {
    const Tensor& all = recorded(name);
    const std::size_t size = all.size() / static_cast<std::size_t>(steps_);
    return all.part(shape, static_cast<std::size_t>(step) * size, size);
  }

  void require(const TensorSpec& tensor, bool per_step, const Sizes& sizes) const {
    Shape expected = contract_.shape(tensor, sizes);
    if (per_step) expected.insert(expected.begin(), steps_);
    if (const Tensor& found = recorded(tensor.name);
        found.shape != expected || found.dtype().name != tensor.dtype) {
      throw BundleError(path_ + " has " + tensor.name + " as " + found.dtype().name + " " +
                        to_text(found.shape) + ", expected " + tensor.dtype + " " + to_text(expected) +
                        "; export the bundle again");
    }
  }

  const Contract& contract_;
  std::string path_;
  Tensors tensors_;
  Sizes sizes_{{kBatch, 1}};  // of the open axes in a step
  std::int64_t steps_ = 0;
};

}  // namespace edgernn
