// The only file that knows ONNX Runtime.
#include "model.hpp"

#include <onnxruntime_cxx_api.h>

namespace edgernn {

namespace {

Ort::Value to_ort(const Tensor& tensor, const Ort::MemoryInfo& memory) {
  const auto borrow =
      [&](const auto& values) {  // ONNX Runtime reads inputs only, though it asks for a mutable pointer
        void* data = const_cast<void*>(static_cast<const void*>(values.data()));
        return Ort::Value::CreateTensor(memory, data, values.size() * sizeof(values[0]), tensor.shape.data(),
                                        tensor.shape.size(),
                                        static_cast<ONNXTensorElementDataType>(tensor.dtype().element_type));
      };
  return std::visit(borrow, tensor.values);
}

Tensor from_ort(const Ort::Value& value, const TensorSpec& spec) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const std::size_t dtype = dtype_at(spec.dtype, false, spec.name);
  if (static_cast<int>(info.GetElementType()) != kDtypes[dtype].element_type) {
    throw BundleError("the model gives " + spec.name + " in another dtype than " + spec.dtype +
                      "; export the bundle again");
  }
  const Shape shape = info.GetShape();
  return {shape, to_values(dtype, value.GetTensorRawData(), element_count(shape))};
}

// A session: one model file, and what it takes and gives.
struct OrtSession {
  OrtSession(const Ort::Env& env, const Bundle& bundle, const Artifact& artifact)
      : spec(bundle.contract.graph(artifact.graph)) {
    for (const auto& [axis, size] : artifact.axes) {
      const std::int64_t wanted = axis == kTime ? bundle.contract.step_frames : 1;
      if ((axis == kTime || axis == kBatch) && size != wanted) {
        throw BundleError(artifact.path + " takes only " + std::to_string(size) + " along " + axis +
                          ", expected " + std::to_string(wanted) + "; choose another artifact");
      }
    }
    for (const auto& [name, dtype] : artifact.dtypes) {
      throw BundleError(
          artifact.path + " takes " + name + " as " + dtype +
          ", expected the contract's own dtype; this example converts none: choose another artifact");
    }
    if (artifact.runtime_state) {
      throw BundleError(artifact.path + " keeps the state itself; choose another artifact");
    }
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(
        1);  // one step is small: threads that wait for one another cost more than they give
    session = Ort::Session(env, bundle.read_artifact(artifact).c_str(), options);
  }

  // Makes sure that a tensor is as the contract says, and of the same open axes as those before it.
  static void check(const Contract& contract, const TensorSpec& spec, const Tensor& tensor, Sizes& sizes) {
    contract.learn(spec, tensor.shape, sizes);
    if (const Shape expected = contract.shape(spec, sizes);
        tensor.shape != expected || tensor.dtype().name != spec.dtype) {
      throw BundleError(spec.name + " is " + tensor.dtype().name + " " + to_text(tensor.shape) +
                        ", expected " + spec.dtype + " " + to_text(expected) +
                        "; give what the contract says");
    }
  }

  Tensors run(const Contract& contract, const Tensors& given) {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<const char*> inputs, outputs;
    std::vector<Ort::Value> values;
    Sizes sizes;
    for (const TensorSpec& tensor : spec.inputs) {
      const auto found = given.find(tensor.name);
      if (found == given.end()) {
        throw BundleError("the input " + tensor.name + " is missing; give every input, context and state");
      }
      check(contract, tensor, found->second, sizes);
      inputs.push_back(tensor.name.c_str());
      values.push_back(to_ort(found->second, memory));
    }
    for (const TensorSpec& tensor : spec.outputs) outputs.push_back(tensor.name.c_str());
    const auto made = session.Run(Ort::RunOptions{nullptr}, inputs.data(), values.data(), values.size(),
                                  outputs.data(), outputs.size());
    Tensors results;
    for (std::size_t index = 0; index < made.size(); ++index) {
      const Tensor& own = results[outputs[index]] = from_ort(made[index], spec.outputs[index]);
      check(contract, spec.outputs[index], own, sizes);
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
    if (bundle.contract.encodes()) {
      encode_.emplace(env_, bundle, bundle.choose("onnx", "encode", {}, Ort::GetVersionString()));
    }
  } catch (const Ort::Exception& error) {
    throw BundleError("ONNX Runtime cannot open " + chosen.path + ": " + error.what());
  }

  Results step(const Tensors& inputs, const State& state) const override;
  Tensors encode(const Tensors& inputs) const override;
  const Artifact& artifact() const override { return artifact_; }

 private:
  Artifact artifact_;
  Ort::Env env_{ORT_LOGGING_LEVEL_FATAL, "edgernn"};  // what goes wrong is thrown
  mutable std::optional<OrtSession> encode_, step_;  // running one changes nothing that a caller sees
};

Results OrtModel::step(const Tensors& inputs, const State& state) const {
  Tensors given = inputs;
  given.insert(state.begin(), state.end());
  Results results;
  try {
    results.outputs = step_->run(bundle.contract, given);
  } catch (const Ort::Exception& error) {
    throw BundleError(artifact_.path + " does not run: " + error.what());
  }
  for (const TensorSpec& before : bundle.contract.states()) {
    results.state[before.name] = std::move(results.outputs.extract(next_name(before.name)).mapped());
  }
  return results;
}

Tensors OrtModel::encode(const Tensors& inputs) const {
  if (!encode_) {
    throw BundleError(
        "this bundle has no encode graph; give the bundle of a model that looks at something first");
  }
  try {
    return encode_->run(bundle.contract, inputs);
  } catch (const Ort::Exception& error) {
    throw BundleError(std::string("the encode graph does not run: ") + error.what());
  }
}

}  // namespace

std::unique_ptr<Model> Model::load(const std::filesystem::path& folder,
                                   const std::optional<std::string>& artifact) {
  Bundle bundle(folder);
  const Artifact chosen = bundle.choose("onnx", "step", artifact, Ort::GetVersionString());
  return std::make_unique<OrtModel>(std::move(bundle), chosen);
}

}  // namespace edgernn
