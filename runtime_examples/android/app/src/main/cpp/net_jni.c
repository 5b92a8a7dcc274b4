/* The step of a bundle for edgernn.Compiled in Kotlin or Java: one block of memory, which a direct buffer is. */
#include <jni.h>
#include <stdio.h>

#include "names.h"

enum { LINES = 4, LONGEST = 512 };

static int set(JNIEnv *env, jobjectArray lines, int at, const char *line)
{
    jstring text = (*env)->NewStringUTF(env, line);
    if (!text) { return 0; } /* an exception is pending */
    (*env)->SetObjectArrayElement(env, lines, at, text);
    (*env)->DeleteLocalRef(env, text);
    return 1;
}

JNIEXPORT jobjectArray JNICALL Java_edgernn_Compiled_describe(JNIEnv *env, jclass own)
{
    const network *const net = the_network();
    char line[LONGEST];
    jclass type = (*env)->FindClass(env, "java/lang/String");
    jobjectArray lines = type ? (*env)->NewObjectArray(env, (jsize)(LINES + net->tensors), type, 0) : 0;
    (void)own;
    if (!lines || !set(env, lines, 0, net->artifact) || !set(env, lines, 1, net->sha256)) { return 0; }
    snprintf(line, sizeof line, "%u", net->bytes);
    if (!set(env, lines, 2, line)) { return 0; }
    snprintf(line, sizeof line, "%u", net->state_bytes);
    if (!set(env, lines, 3, line)) { return 0; }
    for (uint32_t i = 0; i < net->tensors; ++i) {
        const network_tensor *t = &net->table[i];
        int end = snprintf(line, sizeof line, "%.200s %s %d %u", t->name, t->dtype, t->role, t->offset);
        for (uint32_t axis = 0; axis < t->rank; ++axis) {
            end += snprintf(line + end, sizeof line - (size_t)end, " %u", t->shape[axis]);
        }
        if (!set(env, lines, LINES + (int)i, line)) { return 0; }
    }
    return lines;
}

JNIEXPORT jint JNICALL Java_edgernn_Compiled_step(JNIEnv *env, jclass own, jobject block)
{
    const network *const net = the_network();
    void *const memory = (*env)->GetDirectBufferAddress(env, block);
    (void)own;
    return memory && (*env)->GetDirectBufferCapacity(env, block) >= (jlong)net->bytes ? net->step(memory) : 1;
}
