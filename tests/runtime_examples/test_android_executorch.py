"""The Android example's ExecuTorch runtime, compiled on the core against the signatures it uses:
no package that CI can install brings the Android library, and nothing of it runs here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hosts import ANDROID, java_home, kotlin_compiler

pytest.importorskip("executorch")  # it goes with .ci/executorch: the gate compiles enough Kotlin

STUBS = """
package org.pytorch.executorch

class Module private constructor() {
    fun forward(vararg inputs: EValue): Array<EValue> = arrayOf(*inputs)
    fun destroy() {}
    companion object {
        @JvmStatic
        fun load(modelPath: String): Module {
            if (modelPath.isEmpty()) throw RuntimeException()
            return Module()
        }
    }
}

class EValue private constructor(private val held: Tensor) {
    fun toTensor(): Tensor = held
    companion object {
        @JvmStatic
        fun from(tensor: Tensor): EValue = EValue(tensor)
    }
}

class Tensor private constructor(private val held: Any, private val sizes: LongArray) {
    fun shape(): LongArray = sizes
    val dataAsFloatArray: FloatArray get() = held as? FloatArray ?: throw IllegalStateException()
    val dataAsLongArray: LongArray get() = held as? LongArray ?: throw IllegalStateException()
    companion object {
        @JvmStatic
        fun fromBlob(data: FloatArray, shape: LongArray): Tensor = Tensor(data, shape)
        @JvmStatic
        fun fromBlob(data: LongArray, shape: LongArray): Tensor = Tensor(data, shape)
        @JvmStatic
        fun fromBlobUnsigned(data: ByteArray, shape: LongArray): Tensor = Tensor(data, shape)
    }
}
"""


def test_the_runtime_compiles_on_the_core(tmp_path: Path) -> None:
    (tmp_path / "Stubs.kt").write_text(STUBS, "utf-8")
    sources = [
        ANDROID / "core" / "src" / "main" / "kotlin",
        ANDROID / "app" / "src" / "executorch" / "kotlin",
    ]
    command = ["bash", kotlin_compiler(), *map(str, sources), str(tmp_path / "Stubs.kt"), "-Werror"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "made.jar")],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=280,
        env={**os.environ, "JAVA_HOME": str(java_home())},
    )
    assert done.returncode == 0, done.stdout + done.stderr
