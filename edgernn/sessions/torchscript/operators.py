"""The operators that a TorchScript file may use: what computes on tensors, and nothing that acts on
the machine.

A TorchScript file is a program of torch's script language, which can read, map and write files,
print, wait and start other programs' work. So a file runs only if every operator in it stands here.
Each group says why it is let in; an operator that is not named is refused, whatever it does.
Reading this table imports nothing.
"""

from __future__ import annotations

_GROUPS: dict[str, tuple[str, ...]] = {
    "constants, the file's own weights, and values put together or taken apart": (
        "prim::Constant prim::GetAttr prim::ListConstruct prim::ListUnpack prim::NumToTensor",
        "prim::TupleConstruct prim::TupleIndex prim::TupleUnpack prim::dtype prim::device",
        "prim::unchecked_cast aten::Bool aten::Float aten::FloatImplicit aten::Int",
        "aten::IntImplicit aten::ScalarImplicit aten::__getitem__ aten::detach aten::alias",
    ),
    "sizes read: pure; whether a result may depend on them is for the check of the structure": (
        "aten::dim aten::len aten::numel aten::size aten::floordiv",
    ),
    "products of matrices": (
        "aten::addbmm aten::addmm aten::addmv aten::baddbmm aten::bilinear aten::bmm aten::dot",
        "aten::einsum aten::linear aten::matmul aten::mm aten::mv aten::outer aten::tensordot",
        "aten::scaled_dot_product_attention",
        "aten::addr aten::chain_matmul aten::cross aten::inner aten::kron aten::linalg_cross",
        "aten::linalg_multi_dot aten::linalg_vecdot aten::linalg_matmul aten::ger aten::vdot",
        "aten::trace",
    ),
    "recurrent layers and cells; in training they would drop values at random, which is refused": (
        "aten::gru aten::gru_cell aten::lstm aten::lstm_cell aten::rnn_relu aten::rnn_relu_cell",
        "aten::rnn_tanh aten::rnn_tanh_cell",
    ),
    "convolutions, pooling and resizing": (
        "aten::_convolution aten::conv1d aten::conv2d aten::conv3d aten::convolution",
        "aten::conv_transpose1d aten::conv_transpose2d aten::adaptive_avg_pool1d",
        "aten::adaptive_avg_pool2d aten::adaptive_max_pool1d aten::adaptive_max_pool2d",
        "aten::avg_pool1d aten::avg_pool2d aten::max_pool1d aten::max_pool2d aten::pixel_shuffle",
        "aten::upsample_bilinear2d aten::upsample_nearest1d aten::upsample_nearest2d",
        "aten::adaptive_avg_pool3d aten::adaptive_max_pool3d aten::avg_pool3d",
        "aten::conv_transpose3d aten::max_pool3d aten::pixel_unshuffle aten::channel_shuffle",
        "aten::im2col aten::col2im aten::grid_sampler aten::upsample_linear1d",
        "aten::upsample_bicubic2d aten::upsample_nearest3d aten::upsample_trilinear3d",
        "aten::reflection_pad1d aten::reflection_pad2d aten::reflection_pad3d",
        "aten::replication_pad1d aten::replication_pad2d aten::replication_pad3d",
    ),
    "normalisation by fixed or own statistics; in training it would keep some, which is refused": (
        "aten::batch_norm aten::group_norm aten::layer_norm aten::rms_norm",
        "aten::instance_norm",
    ),
    "arithmetic, each value by itself": (
        "aten::abs aten::add aten::addcdiv aten::addcmul aten::ceil aten::clamp aten::clamp_max",
        "aten::clamp_min aten::cos aten::div aten::erf aten::exp aten::expm1 aten::floor",
        "aten::fmod aten::lerp aten::log aten::log1p aten::maximum aten::minimum aten::mul",
        "aten::neg aten::pow aten::reciprocal aten::remainder aten::round aten::rsqrt",
        "aten::rsub aten::sign aten::sin aten::sqrt aten::square aten::sub aten::trunc",
        "aten::absolute aten::acos aten::acosh aten::arccos aten::arccosh aten::arcsin",
        "aten::arcsinh aten::arctan aten::arctan2 aten::arctanh aten::asin aten::asinh",
        "aten::atan aten::atan2 aten::atanh aten::bitwise_left_shift",
        "aten::bitwise_right_shift aten::__lshift__ aten::__rshift__ aten::clip",
        "aten::copysign aten::cosh aten::deg2rad aten::digamma aten::divide aten::erfc",
        "aten::erfinv aten::exp2 aten::fix aten::float_power aten::floor_divide aten::fmax",
        "aten::fmin aten::frac aten::hypot aten::i0 aten::ldexp aten::lgamma aten::log10",
        "aten::log2 aten::logaddexp aten::logaddexp2 aten::logit aten::multiply",
        "aten::nan_to_num aten::negative aten::positive aten::rad2deg aten::sgn aten::sinc",
        "aten::sinh aten::subtract aten::tan aten::true_divide aten::xlogy",
        "aten::special_expit aten::special_erf aten::special_exp2 aten::special_expm1",
        "aten::special_log1p aten::special_xlog1py aten::special_i0e aten::special_ndtr",
        "aten::special_entr",
    ),
    "activations, each value by itself": (
        "aten::celu aten::elu aten::gelu aten::glu aten::hardsigmoid aten::hardswish",
        "aten::hardtanh aten::leaky_relu aten::log_sigmoid aten::mish aten::prelu aten::relu",
        "aten::relu6 aten::selu aten::sigmoid aten::silu aten::softplus aten::tanh",
        "aten::hardshrink aten::softshrink aten::threshold",
    ),
    "dropout that is switched off gives back its input; switched on it is refused": (
        "aten::dropout aten::feature_dropout",
    ),
    "reductions along an axis, and what is made of them": (
        "aten::amax aten::amin aten::argmax aten::argmin aten::cumsum",
        "aten::linalg_vector_norm aten::log_softmax aten::logsumexp aten::max aten::mean aten::min",
        "aten::norm aten::prod aten::softmax",
        "aten::std aten::sum aten::var",
        "aten::all aten::aminmax aten::any aten::argsort aten::cdist aten::cosine_similarity",
        "aten::count_nonzero aten::cummax aten::cummin aten::cumprod aten::diff",
        "aten::frobenius_norm aten::kthvalue aten::linalg_vector_norm aten::logcumsumexp",
        "aten::median aten::mode aten::msort aten::nanmean aten::nanmedian aten::nansum",
        "aten::nuclear_norm aten::pairwise_distance aten::renorm aten::sort aten::std_mean",
        "aten::topk aten::trapezoid aten::var_mean",
    ),
    "comparison and choice, each value by itself": (
        "aten::bitwise_and aten::bitwise_not aten::bitwise_or aten::eq aten::ge aten::gt aten::le",
        "aten::logical_and aten::logical_not aten::logical_or aten::lt aten::masked_fill aten::ne",
        "aten::where",
        "aten::__and__ aten::__or__ aten::__xor__ aten::bitwise_xor aten::bucketize",
        "aten::greater aten::greater_equal aten::heaviside aten::isclose aten::isfinite",
        "aten::isin aten::isinf aten::isnan aten::isneginf aten::isposinf aten::less",
        "aten::less_equal aten::logical_xor aten::not_equal aten::searchsorted aten::signbit",
    ),
    "rows taken out of tables and put in place, by index": (
        "aten::embedding aten::gather aten::index aten::index_select aten::one_hot aten::scatter",
        "aten::take_along_dim",
        "aten::argwhere aten::diag aten::diag_embed aten::diagflat aten::diagonal",
        "aten::diagonal_scatter aten::embedding_bag aten::index_add aten::index_copy",
        "aten::index_fill aten::index_put aten::masked_scatter aten::scatter_add",
        "aten::scatter_reduce aten::select_scatter aten::slice_scatter aten::take",
    ),
    "the same values in another shape or order, or in another number type": (
        "aten::broadcast_tensors aten::cat aten::chunk aten::clone aten::contiguous aten::expand",
        "aten::expand_as aten::flatten aten::flip aten::movedim aten::narrow aten::pad "
        "aten::permute",
        "aten::constant_pad_nd aten::repeat aten::repeat_interleave aten::reshape aten::roll",
        "aten::select aten::slice aten::split aten::split_with_sizes aten::squeeze aten::stack",
        "aten::t aten::tensor_split aten::tile aten::to aten::transpose aten::tril aten::triu",
        "aten::type_as aten::unbind aten::unflatten aten::unfold aten::unsqueeze aten::view",
        "aten::_unsafe_view aten::unsafe_chunk aten::unsafe_split",
        "aten::adjoint aten::alias_copy aten::atleast_1d aten::atleast_2d aten::atleast_3d",
        "aten::block_diag aten::broadcast_to aten::column_stack aten::concat",
        "aten::concatenate aten::dsplit aten::dstack aten::fliplr aten::flipud aten::hsplit",
        "aten::hstack aten::mH aten::mT aten::moveaxis aten::narrow_copy aten::numpy_T",
        "aten::ravel aten::reshape_as aten::rot90 aten::row_stack aten::swapaxes",
        "aten::swapdims aten::sum_to_size aten::unsafe_split_with_sizes aten::view_as",
        "aten::vsplit aten::vstack",
    ),
    "tensors of a stated value": (
        "aten::arange aten::full aten::full_like aten::new_full aten::new_ones aten::new_zeros",
        "aten::ones aten::ones_like aten::zeros aten::zeros_like aten::scalar_tensor",
        "aten::eye aten::fill aten::hamming_window aten::hann_window aten::blackman_window",
        "aten::linspace aten::logspace aten::range",
    ),
    "the same written in place; only into what the same call made, as MADE says": (
        "aten::add_ aten::clamp_ aten::copy_ aten::div_ aten::elu_ aten::fill_ aten::hardsigmoid_",
        "aten::hardswish_ aten::hardtanh_ aten::leaky_relu_ aten::masked_fill_ aten::mul_",
        "aten::relu6_ aten::relu_ aten::selu_ aten::sigmoid_ aten::silu_ aten::sub_ aten::tanh_",
        "aten::zero_",
    ),
}
PURE = frozenset(name for lines in _GROUPS.values() for line in lines for name in line.split())

# These always give new memory, whatever they are given: writing into it changes neither weight nor
# input.
_MADE = """
aten::_convolution aten::add aten::addmm aten::batch_norm aten::bmm aten::cat aten::clone
aten::conv1d aten::conv2d aten::div aten::full aten::full_like aten::layer_norm aten::linear
aten::matmul aten::mm aten::mul aten::new_zeros aten::ones aten::relu aten::sigmoid aten::stack
aten::sub aten::tanh aten::zeros aten::zeros_like
"""
MADE = frozenset(_MADE.split())

# What an argument of this name must be, by torch's own schemas: with another value the operator
# draws random numbers or keeps statistics of what it saw.
FIXED: dict[str, bool | float] = {"train": False, "training": False, "dropout_p": 0.0}
