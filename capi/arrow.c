//go:build capi

// Streams, schemas and arrays as the Arrow C interfaces want them. Releasing a schema or an array is free() and nothing else: it may happen on any
// thread, in a process that is going down, or in a forked child, where it leaks instead.
#include "arrow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "_cgo_export.h"

static pid_t loaded_in;

// The first process that loads the library is the only one that may use it.
void flow_remember_process(void) {
	if (loaded_in == 0) loaded_in = getpid();
}

int flow_forked(void) { return loaded_in != getpid(); }

// Schemas

static void release_schema(struct ArrowSchema *schema) {
	schema->release = NULL;
	if (flow_forked()) return;
	for (int64_t i = 0; i < schema->n_children; i++) {
		struct ArrowSchema *child = schema->children[i];
		if (child == NULL) continue;
		if (child->release != NULL) child->release(child);
		free(child);
	}
	free(schema->children);
	free((void *)schema->name);
	free(schema->private_data); // the format, where it is not a constant
}

int flow_schema_new(struct ArrowSchema *out, int64_t columns) {
	memset(out, 0, sizeof(*out));
	out->format = "+s";
	out->n_children = columns;
	out->release = release_schema;
	out->name = strdup("");
	out->children = calloc(columns > 0 ? columns : 1, sizeof(*out->children));
	if (out->children == NULL || out->name == NULL) {
		out->n_children = 0;
		release_schema(out);
		return ENOMEM;
	}
	return 0;
}

int flow_schema_column(struct ArrowSchema *schema, int64_t i, const char *name, const char *format) {
	struct ArrowSchema *column = calloc(1, sizeof(*column));
	if (column == NULL) return ENOMEM;
	schema->children[i] = column;
	column->release = release_schema;
	column->flags = ARROW_FLAG_NULLABLE;
	column->name = strdup(name);
	column->private_data = strdup(format);
	column->format = column->private_data;
	return column->name == NULL || column->format == NULL ? ENOMEM : 0;
}

static int copy_schema(const struct ArrowSchema *schema, struct ArrowSchema *out) {
	int failed = flow_schema_new(out, schema->n_children);
	for (int64_t i = 0; !failed && i < schema->n_children; i++) {
		failed = flow_schema_column(out, i, schema->children[i]->name, schema->children[i]->format);
		if (failed) release_schema(out);
	}
	return failed;
}

// Arrays

static void release_array(struct ArrowArray *array) {
	array->release = NULL;
	if (flow_forked()) return;
	for (int64_t i = 0; i < array->n_children; i++) {
		struct ArrowArray *child = array->children[i];
		if (child == NULL) continue;
		if (child->release != NULL) child->release(child); // NULL: the consumer has moved it out
		free(child);
	}
	free(array->children);
	for (int64_t i = 0; i < array->n_buffers; i++) free((void *)array->buffers[i]);
	free(array->buffers);
}

int flow_array_new(struct ArrowArray *out, int64_t rows, int64_t columns) {
	memset(out, 0, sizeof(*out));
	out->length = rows;
	out->n_buffers = 1; // the validity of a struct, never there
	out->n_children = columns;
	out->release = release_array;
	out->buffers = calloc(1, sizeof(*out->buffers));
	out->children = calloc(columns > 0 ? columns : 1, sizeof(*out->children));
	if (out->buffers != NULL && out->children != NULL) return 0;
	free(out->buffers);
	free(out->children);
	out->release = NULL;
	return ENOMEM;
}

int flow_array_column(struct ArrowArray *array, int64_t i, int64_t nulls, int64_t buffers, void *first, void *second, void *third) {
	struct ArrowArray *column = calloc(1, sizeof(*column));
	const void **list = calloc(3, sizeof(*list));
	if (column == NULL || list == NULL) {
		free(column);
		free(list);
		free(first);
		free(second);
		free(third);
		return ENOMEM;
	}
	list[0] = first;
	list[1] = second;
	list[2] = third;
	column->length = array->length;
	column->null_count = nulls;
	column->n_buffers = buffers;
	column->buffers = list;
	column->release = release_array;
	array->children[i] = column;
	return 0;
}

// Streams

struct flow_stream {
	int64_t id;
	struct ArrowSchema schema;
	char *text;
	char *fault;
};

static const char forked_text[] = "This stream belongs to the parent process: a forked child cannot read it. Use the spawn or forkserver start method.";

static int stream_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
	memset(out, 0, sizeof(*out));
	return copy_schema(&((struct flow_stream *)self->private_data)->schema, out);
}

static int stream_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
	memset(out, 0, sizeof(*out));
	if (flow_forked()) return EINVAL;
	return flowStreamNext(self, out);
}

static const char *stream_error(struct ArrowArrayStream *self) {
	return flow_forked() ? forked_text : ((struct flow_stream *)self->private_data)->text;
}

static void stream_release(struct ArrowArrayStream *self) {
	struct flow_stream *stream = self->private_data;
	self->release = NULL;
	if (flow_forked()) return;
	flowStreamRelease(stream->id);
	release_schema(&stream->schema);
	free(stream->text);
	free(stream->fault);
	free(stream);
}

int flow_stream_new(struct ArrowArrayStream *out, int64_t id, struct ArrowSchema *schema) {
	struct flow_stream *stream = calloc(1, sizeof(*stream));
	if (stream == NULL) return ENOMEM;
	stream->id = id;
	stream->schema = *schema;
	schema->release = NULL;
	out->get_schema = stream_schema;
	out->get_next = stream_next;
	out->get_last_error = stream_error;
	out->release = stream_release;
	out->private_data = stream;
	return 0;
}

void flow_stream_fail(struct ArrowArrayStream *self, char *text, char *fault) {
	struct flow_stream *stream = self->private_data;
	free(stream->text);
	free(stream->fault);
	stream->text = text;
	stream->fault = fault;
}

const char *flow_stream_fault(struct ArrowArrayStream *self) {
	return self->release == stream_release ? ((struct flow_stream *)self->private_data)->fault : NULL;
}

int64_t flow_stream_id(struct ArrowArrayStream *self) {
	return self->release == stream_release ? ((struct flow_stream *)self->private_data)->id : 0;
}
