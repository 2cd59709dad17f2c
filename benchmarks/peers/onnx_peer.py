"""onnxruntime: prediction with its own RNN, LSTM and GRU operators."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from peers.protocol import Peer, powers_of_two_and_all_cores, seconds_per_step, serve

TENSOR_TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def make_model(work):
    """Return a model from X (time, batch, channels) to prediction (batch, 1)."""
    layers, (W_out, b_out) = work.weights()
    arrays = {"W_out": W_out.T.copy(), "b_out": b_out}
    arrays |= {"axis_0": np.array([0]), "axis_1": np.array([1])}
    # The reset gate after the product, as PyTorch and Keras have it.
    options = {"linear_before_reset": 1} if work.cell == "gru" else {}
    options["hidden_size"] = work.n_units
    nodes, below = [], "X"
    for n, (W_x, W_h, b) in enumerate(layers):
        both = np.concatenate([b, np.zeros_like(b)])
        arrays |= {f"W{n}": W_x[None], f"R{n}": W_h[None], f"B{n}": both[None]}
        # All states (time, direction, batch, units), then the last ones.
        is_last = n == work.n_layers - 1
        outputs = ["", "last"] if is_last else [f"all{n}"]
        inputs = [below, f"W{n}", f"R{n}", f"B{n}"]
        nodes.append(helper.make_node(work.cell.upper(), inputs, outputs, **options))
        if not is_last:
            below = f"states{n}"
            nodes.append(helper.make_node("Squeeze", [f"all{n}", "axis_1"], [below]))
    nodes += [
        helper.make_node("Squeeze", ["last", "axis_0"], ["state"]),
        helper.make_node("Gemm", ["state", "W_out", "b_out"], ["prediction"]),
    ]
    kind = TENSOR_TYPES[work.dtype]
    shape = [work.n_timesteps, work.batch_size, work.n_channels]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", kind, shape)],
        [helper.make_tensor_value_info("prediction", kind, [work.batch_size, 1])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opset = [helper.make_opsetid("", 14)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


class OnnxPeer(Peer):
    """An onnxruntime session on the CPU."""

    packages = ("onnxruntime", "onnx")

    def thread_counts(self):
        """Return 1, 2, 4, ..., all cores."""
        return powers_of_two_and_all_cores()

    def prepare(self, work, threads, seconds):
        """Time calls of a session with this number of threads."""
        if work.task != "predict":
            raise NotImplementedError("onnxruntime predicts only")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # A pool that spins after a call would take a core from the next peer.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(
            make_model(work).SerializeToString(), options, ["CPUExecutionProvider"]
        )
        # Time first, as the operators want it: no transposition is timed.
        X = np.ascontiguousarray(work.data()[0].swapaxes(0, 1))

        def run(n_calls):
            for _ in range(n_calls):
                session.run(None, {"X": X})

        return seconds_per_step(run, seconds)


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(4)  # errors are raised; once is enough
    serve(OnnxPeer())
