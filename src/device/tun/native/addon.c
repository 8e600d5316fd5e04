/* The Node-API side of the TUN device.
 *
 * Theory of operation. JavaScript knows a queue by a small integer: its place in a table that belongs to one
 * environment (the main thread, or a worker), with a generation in the upper bits so that a number that outlived its
 * queue is refused. The memory of a burst is told once (`attachRead`, `attachWrite`): the slab and the two arrays are
 * kept from the collector by references, and their addresses are kept beside them, so that a burst costs one call
 * with two or three small integers and makes no object. The caller must attach anew when one of them is another
 * object or has another length (a transferred ArrayBuffer has length 0).
 *
 * Readiness is a uv_poll_t on the queue's descriptor, level-triggered: it calls back as long as something waits. It is
 * allocated apart from the table since libuv frees it in its own time, and the environment's clean-up waits for that.
 */
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "queue.h"

#define TABLE_SIZE 1024
#define INDEX_BITS 10
#define GENERATION_MASK 0x1fffff

struct instance;

struct watcher {
  uv_poll_t poll;
  struct instance *instance;
  struct entry *entry; /* NULL once the queue is closed */
  napi_ref callback;
  bool active;
};

struct entry {
  struct queue queue;
  bool used;
  uint32_t generation;
  struct watcher *watcher;
  napi_ref rx_refs[3];
  napi_ref tx_refs[3];
  napi_ref counters_ref;
};

struct instance {
  napi_env env;
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup;
  bool ending;
  double *time; /* where tick() puts it */
  napi_ref time_ref;
  int closing; /* watchers that libuv has not given back */
  struct entry entries[TABLE_SIZE];
};

/* ---- small helpers ---- */

static napi_value throw_type(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}

static napi_value number(napi_env env, int value) {
  napi_value result = NULL;
  napi_create_int32(env, value, &result);
  return result;
}

static napi_value throw_errno(napi_env env, const char *step, int error) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", step, strerror(error));
  napi_throw_error(env, uv_err_name(-error), message);
  return NULL;
}

/* Arguments of a call, and the environment's table; false when too few. */
static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv, struct instance **instance) {
  size_t argc = wanted;
  return napi_get_cb_info(env, info, &argc, argv, NULL, (void **)instance) == napi_ok && argc >= wanted;
}

static struct entry *find(napi_env env, struct instance *instance, napi_value handle) {
  int32_t number = -1;
  if (napi_get_value_int32(env, handle, &number) != napi_ok || number < 0) return NULL;
  struct entry *entry = &instance->entries[number & (TABLE_SIZE - 1)];
  return entry->used && entry->generation == (uint32_t)number >> INDEX_BITS ? entry : NULL;
}

static void drop_refs(napi_env env, napi_ref *refs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (refs[i] != NULL) napi_delete_reference(env, refs[i]);
    refs[i] = NULL;
  }
}

/* ---- opening and closing ---- */

static void on_watcher_closed(uv_handle_t *handle) {
  struct watcher *watcher = handle->data;
  struct instance *instance = watcher->instance;
  free(watcher);
  instance->closing--;
  if (instance->ending && instance->closing == 0) {
    napi_async_cleanup_hook_handle cleanup = instance->cleanup;
    free(instance);
    napi_remove_async_cleanup_hook(cleanup);
  }
}

static void release(struct instance *instance, struct entry *entry) {
  napi_env env = instance->env;
  struct watcher *watcher = entry->watcher;
  if (watcher != NULL) {
    uv_poll_stop(&watcher->poll);
    watcher->entry = NULL;
    if (watcher->callback != NULL) napi_delete_reference(env, watcher->callback);
    watcher->callback = NULL;
    instance->closing++;
    uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
    entry->watcher = NULL;
  }
  /* After the poll has stopped: libuv must not watch a number that the next open may get. */
  queue_close(&entry->queue);
  drop_refs(env, entry->rx_refs, 3);
  drop_refs(env, entry->tx_refs, 3);
  drop_refs(env, &entry->counters_ref, 1);
  memset(&entry->queue, 0, sizeof entry->queue);
  entry->queue.fd = -1;
  entry->used = false;
  entry->generation = (entry->generation + 1) & GENERATION_MASK;
}

static void on_environment_end(napi_async_cleanup_hook_handle handle, void *data) {
  struct instance *instance = data;
  for (size_t i = 0; i < TABLE_SIZE; i++)
    if (instance->entries[i].used) release(instance, &instance->entries[i]);
  drop_refs(instance->env, &instance->time_ref, 1);
  instance->time = NULL;
  napi_async_destroy(instance->env, instance->async_context);
  instance->ending = true;
  if (instance->closing > 0) return;
  free(instance);
  napi_remove_async_cleanup_hook(handle);
}

/* open(name, vnet, multi, exclusive, counters: Float64Array) -> handle; throws with the errno's name as code */
static napi_value js_open(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  struct instance *instance;
  char name[IFNAMSIZ + 1];
  size_t name_length;
  bool vnet;
  bool multi;
  bool exclusive;
  napi_typedarray_type type;
  size_t length;
  void *counters;
  if (!arguments(env, info, 5, argv, &instance) ||
      napi_get_value_string_utf8(env, argv[0], name, sizeof name, &name_length) != napi_ok ||
      napi_get_value_bool(env, argv[1], &vnet) != napi_ok || napi_get_value_bool(env, argv[2], &multi) != napi_ok ||
      napi_get_value_bool(env, argv[3], &exclusive) != napi_ok ||
      napi_get_typedarray_info(env, argv[4], &type, &length, &counters, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < COUNTERS)
    return throw_type(env, "open(name, vnet, multi, exclusive, counters)");
  if (name_length >= IFNAMSIZ) return throw_errno(env, "interface name", ENAMETOOLONG);

  size_t index = 0;
  while (index < TABLE_SIZE && instance->entries[index].used) index++;
  if (index == TABLE_SIZE) return throw_errno(env, "open queues", EMFILE);
  struct entry *entry = &instance->entries[index];

  const char *step;
  int failed = queue_open(&entry->queue, name, vnet, multi, exclusive, &step);
  if (failed < 0) return throw_errno(env, step, -failed);
  entry->queue.counters = counters;
  napi_create_reference(env, argv[4], 1, &entry->counters_ref);
  entry->used = true;
  return number(env, (int)(entry->generation << INDEX_BITS | index));
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct instance *instance;
  if (!arguments(env, info, 1, argv, &instance)) return throw_type(env, "close(handle)");
  struct entry *entry = find(env, instance, argv[0]);
  if (entry != NULL) release(instance, entry);
  return NULL;
}

static napi_value js_name(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  napi_value result = NULL;
  struct instance *instance;
  struct entry *entry = arguments(env, info, 1, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL) return throw_type(env, "name(handle)");
  napi_create_string_utf8(env, entry->queue.name, NAPI_AUTO_LENGTH, &result);
  return result;
}

/* offload(handle, flags) -> 0 or -errno */
static napi_value js_offload(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct instance *instance;
  uint32_t flags;
  struct entry *entry = arguments(env, info, 2, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL || napi_get_value_uint32(env, argv[1], &flags) != napi_ok)
    return throw_type(env, "offload(handle, flags)");
  return number(env, queue_offload(&entry->queue, flags));
}

/* ---- the memory of bursts ---- */

/* Fills a window from (slab, offsets, lengths); the window is untouched when they do not fit. */
static bool attach(napi_env env, napi_value *given, struct window *window, napi_ref *refs) {
  struct window next = {0};
  void *slab;
  void *data[2];
  size_t counts[2];
  if (napi_get_buffer_info(env, given[0], &slab, &next.slab_length) != napi_ok) return false;
  for (int i = 0; i < 2; i++) {
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env, given[i + 1], &type, &counts[i], &data[i], NULL, NULL) != napi_ok ||
        type != napi_int32_array)
      return false;
  }
  next.slab = slab;
  next.offsets = data[0];
  next.lengths = data[1];
  next.count = counts[0] < counts[1] ? counts[0] : counts[1];
  drop_refs(env, refs, 3);
  for (int i = 0; i < 3; i++) napi_create_reference(env, given[i], 1, &refs[i]);
  *window = next;
  return true;
}

/* attachRead(handle, slab, slotOffsets, lengths, slotSize) */
static napi_value js_attach_read(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  struct instance *instance;
  uint32_t slot_size;
  struct entry *entry = arguments(env, info, 5, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL || napi_get_value_uint32(env, argv[4], &slot_size) != napi_ok ||
      !attach(env, argv + 1, &entry->queue.rx, entry->rx_refs))
    return throw_type(env, "attachRead(handle, slab, slotOffsets, lengths, slotSize)");
  entry->queue.rx.slot_size = slot_size;
  return NULL;
}

/* attachWrite(handle, slab, offsets, lengths) */
static napi_value js_attach_write(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct instance *instance;
  struct entry *entry = arguments(env, info, 4, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL || !attach(env, argv + 1, &entry->queue.tx, entry->tx_refs))
    return throw_type(env, "attachWrite(handle, slab, offsets, lengths)");
  return NULL;
}

/* read(handle, max) -> packets, or QUEUE_GONE, QUEUE_BAD_SLOT */
static napi_value js_read(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct instance *instance;
  int32_t max;
  struct entry *entry = arguments(env, info, 2, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL) return number(env, QUEUE_GONE);
  if (napi_get_value_int32(env, argv[1], &max) != napi_ok) return throw_type(env, "read(handle, max)");
  return number(env, queue_read(&entry->queue, max));
}

/* write(handle, from, count) -> packets dealt with, or QUEUE_GONE */
static napi_value js_write(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  struct instance *instance;
  int32_t from;
  int32_t count;
  struct entry *entry = arguments(env, info, 3, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL) return number(env, QUEUE_GONE);
  if (napi_get_value_int32(env, argv[1], &from) != napi_ok || napi_get_value_int32(env, argv[2], &count) != napi_ok)
    return throw_type(env, "write(handle, from, count)");
  return number(env, queue_write(&entry->queue, from, count));
}

/* ---- readiness ---- */

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct watcher *watcher = poll->data;
  napi_env env = watcher->instance->env;
  if (watcher->entry == NULL || watcher->callback == NULL) return;
  /* libuv stops watching by itself when the descriptor reports an error: the interface is gone. */
  if (status < 0) watcher->active = false;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback;
  napi_value receiver;
  napi_value error;
  if (napi_get_reference_value(env, watcher->callback, &callback) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok &&
      napi_make_callback(env, watcher->instance->async_context, receiver, callback, 0, NULL, NULL) ==
          napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok)
    napi_fatal_exception(env, error);
  napi_close_handle_scope(env, scope);
}

/* watch(handle, callback): what start() and stop() turn on and off */
static napi_value js_watch(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct instance *instance;
  napi_valuetype type;
  struct entry *entry = arguments(env, info, 2, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  if (entry == NULL || napi_typeof(env, argv[1], &type) != napi_ok || type != napi_function)
    return throw_type(env, "watch(handle, callback)");
  struct watcher *watcher = entry->watcher;
  if (watcher == NULL) {
    struct uv_loop_s *loop;
    watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
      free(watcher);
      return throw_errno(env, "uv_poll_init", ENOMEM);
    }
    int failed = uv_poll_init(loop, &watcher->poll, entry->queue.fd);
    if (failed < 0) {
      free(watcher);
      return throw_errno(env, "uv_poll_init", -failed);
    }
    watcher->poll.data = watcher;
    watcher->instance = instance;
    watcher->entry = entry;
    entry->watcher = watcher;
  }
  if (watcher->callback != NULL) napi_delete_reference(env, watcher->callback);
  napi_create_reference(env, argv[1], 1, &watcher->callback);
  return NULL;
}

static napi_value set_watching(napi_env env, napi_callback_info info, bool on) {
  napi_value argv[1];
  struct instance *instance;
  struct entry *entry = arguments(env, info, 1, argv, &instance) ? find(env, instance, argv[0]) : NULL;
  struct watcher *watcher = entry == NULL ? NULL : entry->watcher;
  if (watcher == NULL || watcher->active == on) return NULL;
  /* Watching what is gone would call back in every turn of the loop. */
  if (on && entry->queue.gone) return NULL;
  if (on) {
    int failed = uv_poll_start(&watcher->poll, UV_READABLE, on_poll);
    if (failed < 0) return throw_errno(env, "uv_poll_start", -failed);
  } else {
    uv_poll_stop(&watcher->poll);
  }
  watcher->active = on;
  return NULL;
}

static napi_value js_start(napi_env env, napi_callback_info info) { return set_watching(env, info, true); }
static napi_value js_stop(napi_env env, napi_callback_info info) { return set_watching(env, info, false); }

/* ---- the clock ---- */

/* setClock(time: Float64Array): tick() puts the time there */
static napi_value js_set_clock(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct instance *instance;
  napi_typedarray_type type;
  size_t length;
  void *time;
  if (!arguments(env, info, 1, argv, &instance) ||
      napi_get_typedarray_info(env, argv[0], &type, &length, &time, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length == 0)
    return throw_type(env, "setClock(time)");
  drop_refs(env, &instance->time_ref, 1);
  napi_create_reference(env, argv[0], 1, &instance->time_ref);
  instance->time = time;
  return NULL;
}

/* tick(): monotonic milliseconds go to where setClock said. No number is made, so no garbage, a million times a second. */
static napi_value js_tick(napi_env env, napi_callback_info info) {
  struct instance *instance;
  struct timespec now;
  if (napi_get_cb_info(env, info, NULL, NULL, NULL, (void **)&instance) != napi_ok || instance->time == NULL) return NULL;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *instance->time = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
  return NULL;
}

/* Context-aware: each worker thread gets its own table. */
NAPI_MODULE_INIT() {
  struct instance *instance = calloc(1, sizeof *instance);
  napi_value resource_name;
  if (instance == NULL) return throw_errno(env, "addon", ENOMEM);
  instance->env = env;
  for (size_t i = 0; i < TABLE_SIZE; i++) instance->entries[i].queue.fd = -1;
  napi_create_string_utf8(env, "culvert.TunDevice", NAPI_AUTO_LENGTH, &resource_name);
  napi_async_init(env, NULL, resource_name, &instance->async_context);
  napi_add_async_cleanup_hook(env, on_environment_end, instance, &instance->cleanup);

  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"open", js_open},     {"close", js_close},           {"name", js_name},
      {"offload", js_offload}, {"attachRead", js_attach_read}, {"attachWrite", js_attach_write},
      {"read", js_read},     {"write", js_write},           {"watch", js_watch},
      {"start", js_start},   {"stop", js_stop},             {"setClock", js_set_clock},
      {"tick", js_tick},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, instance, &function) !=
            napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
