plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
    id("org.jetbrains.kotlin.plugin.compose")
}

// -Pexecutorch, -Plitert: the app runs the bundle's .pte or .tflite files, else its ONNX files.
val own = listOf("executorch", "litert").firstOrNull { providers.gradleProperty(it).isPresent } ?: "onnx"

android {
    namespace = "edgernn.app"
    compileSdk = 35

    defaultConfig {
        applicationId = "edgernn.app"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    buildFeatures {
        compose = true
    }
    // The C of a bundle, where compiled/prepare.py has written it: the app then runs that, else the bundle's ONNX files.
    if (file("src/main/cpp/net/step.c").exists()) {
        externalNativeBuild {
            cmake {
                path = file("src/main/cpp/CMakeLists.txt")
            }
        }
    }
    sourceSets.getByName("main").kotlin.srcDir("src/$own/kotlin")
    androidResources {
        noCompress += listOf("onnx", "pte", "tflite") // copied out of the package once; compressed they would be unpacked first
    }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    implementation(project(":core"))
    implementation("com.microsoft.onnxruntime:onnxruntime-android:1.20.0")
    if (own == "executorch") implementation("org.pytorch:executorch-android:1.5.1")
    if (own == "litert") implementation("com.google.ai.edge.litert:litert:2.3.0")
    implementation(platform("androidx.compose:compose-bom:2024.12.01"))
    implementation("androidx.compose.material3:material3")
    implementation("androidx.activity:activity-compose:1.9.3")
    implementation("androidx.lifecycle:lifecycle-viewmodel-compose:2.8.7")
    implementation("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.9.0")
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
}
