// The only file that knows ONNX Runtime.
#include "model.hpp"

#include <onnxruntime_cxx_api.h>

namespace edgernn {

namespace {

Ort::Value to_ort(const Tensor& tensor, const Ort::MemoryInfo& memory) {
  const auto borrow = [&](const auto& values) {  // ONNX Runtime reads inputs only, though it asks for a mutable pointer
    using T = typename std::decay_t<decltype(values)>::value_type;
    return Ort::Value::CreateTensor<T>(memory, const_cast<T*>(values.data()), values.size(), tensor.shape.data(),
                                       tensor.shape.size());
  };
  return std::visit(borrow, tensor.values);
}

Tensor from_ort(const Ort::Value& value, const std::string& name, const Shape& expected) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const Shape shape = info.GetShape();
  if (info.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || shape != expected) {
    throw BundleError("the model gives " + name + " as " + to_text(shape) + ", the contract says float32 " + to_text(expected) +
                "; export the bundle again");
  }
  const float* data = value.GetTensorData<float>();
  return {shape, std::vector<float>(data, data + element_count(shape))};
}

// A session: one model file, and what it takes and gives.
struct OrtSession {
  OrtSession(const Ort::Env& env, const Bundle& bundle, const Artifact& artifact) : spec(bundle.graph(artifact.graph)) {
    for (const auto& [axis, size] : artifact.axes) {
      if (size != 1) throw BundleError(artifact.path + " takes only " + std::to_string(size) + " along " + axis + ", expected 1");
    }
    for (const auto& [name, dtype] : artifact.dtypes) {
      throw BundleError(artifact.path + " takes " + name + " as " + dtype +
                  ", expected the contract's own dtype; this example converts none: choose another artifact");
    }
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);  // one step is small: threads that wait for one another cost more than they give
    session = Ort::Session(env, bundle.read_artifact(artifact).c_str(), options);
  }

  Tensors run(const Bundle& bundle, const Tensors& given, std::int64_t time) {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<const char*> inputs, outputs;
    std::vector<Ort::Value> values;
    for (const TensorSpec& tensor : spec.inputs) {
      const auto found = given.find(tensor.name);
      if (found == given.end()) throw BundleError("the input " + tensor.name + " is missing; give every input, context and state");
      if (const Shape expected = bundle.shape(tensor, time); found->second.shape != expected) {
        throw BundleError(tensor.name + " is " + to_text(found->second.shape) + ", expected " + to_text(expected));
      }
      inputs.push_back(tensor.name.c_str());
      values.push_back(to_ort(found->second, memory));
    }
    for (const TensorSpec& tensor : spec.outputs) outputs.push_back(tensor.name.c_str());
    const auto made = session.Run(Ort::RunOptions{nullptr}, inputs.data(), values.data(), values.size(), outputs.data(),
                                  outputs.size());
    Tensors results;
    for (std::size_t index = 0; index < made.size(); ++index) {
      results[outputs[index]] = from_ort(made[index], outputs[index], bundle.shape(spec.outputs[index], time));
    }
    return results;
  }

  Graph spec;
  Ort::Session session{nullptr};
};

class OrtModel : public Model {
 public:
  OrtModel(Bundle opened, const Artifact& chosen) try : Model(std::move(opened)), artifact_(chosen) {
    step_.emplace(env_, bundle, artifact_);
    if (bundle.captions()) encode_.emplace(env_, bundle, bundle.choose("onnx", "encode", {}, Ort::GetVersionString()));
  } catch (const Ort::Exception& error) {
    throw BundleError("ONNX Runtime cannot open " + chosen.path + ": " + error.what());
  }

  Results step(const Tensors& inputs, const State& state) const override;
  Results encode(const Tensor& image) const override;
  const Artifact& artifact() const override { return artifact_; }

 private:
  Artifact artifact_;
  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR, "edgernn"};
  mutable std::optional<OrtSession> encode_, step_;  // running one changes nothing that a caller sees
};

Results OrtModel::step(const Tensors& inputs, const State& state) const {
  Tensors given = inputs;
  given.insert(state.begin(), state.end());
  const auto tokens = inputs.find(bundle.token_input().name);
  const std::int64_t time = tokens == inputs.end() ? 1 : tokens->second.shape.back();
  Results results;
  try {
    results.outputs = step_->run(bundle, given, time);
  } catch (const Ort::Exception& error) {
    throw BundleError(artifact_.path + " does not run: " + error.what());
  }
  for (const auto& before : Graph::with_role(step_->spec.inputs, "state")) {
    auto after = results.outputs.extract(next_name(before.name));
    if (after.empty()) throw BundleError("the step does not return " + next_name(before.name) + "; export the bundle again");
    results.state[before.name] = std::move(after.mapped());
  }
  return results;
}

Results OrtModel::encode(const Tensor& image) const {
  if (!encode_) throw BundleError("this bundle writes text and has no encode graph; give a captioner's bundle");
  const auto fresh = Graph::with_role(encode_->spec.inputs, "input");
  if (fresh.size() != 1) throw BundleError("encode takes " + std::to_string(fresh.size()) + " inputs, expected one picture");
  Results results;
  try {
    results.outputs = encode_->run(bundle, {{fresh[0].name, image}}, 1);
  } catch (const Ort::Exception& error) {
    throw BundleError(std::string("the encode graph does not run: ") + error.what());
  }
  for (const auto& first : Graph::with_role(encode_->spec.outputs, "state")) {
    auto found = results.outputs.extract(first.name);
    if (!found.empty()) results.state[first.name] = std::move(found.mapped());
  }
  return results;
}

}  // namespace

std::unique_ptr<Model> Model::load(const std::filesystem::path& folder, const std::optional<std::string>& artifact) {
  Bundle bundle(folder);
  const Artifact chosen = bundle.choose("onnx", "step", artifact, Ort::GetVersionString());
  return std::make_unique<OrtModel>(std::move(bundle), chosen);
}

}  // namespace edgernn
