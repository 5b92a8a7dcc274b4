package edgernn.app

import edgernn.Runtime

/** What runs the bundle where its C is not compiled in. */
fun ownRuntime(): Runtime = LiteRtRuntime()
