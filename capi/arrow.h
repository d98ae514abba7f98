// The Arrow C data and stream interfaces (https://arrow.apache.org/docs/format/CDataInterface.html), and our streams.
#ifndef EMATIX_FLOW_ARROW_H
#define EMATIX_FLOW_ARROW_H

#include <stddef.h>
#include <stdint.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_NULLABLE 2

struct ArrowSchema {
	const char *format;
	const char *name;
	const char *metadata;
	int64_t flags;
	int64_t n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void (*release)(struct ArrowSchema *);
	void *private_data;
};

struct ArrowArray {
	int64_t length;
	int64_t null_count;
	int64_t offset;
	int64_t n_buffers;
	int64_t n_children;
	const void **buffers;
	struct ArrowArray **children;
	struct ArrowArray *dictionary;
	void (*release)(struct ArrowArray *);
	void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
	int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
	int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
	const char *(*get_last_error)(struct ArrowArrayStream *);
	void (*release)(struct ArrowArrayStream *);
	void *private_data;
};
#endif

// flow_schema_new makes a struct schema of n columns, all of them to be set by flow_schema_column; NULL when there is no memory.
int flow_schema_new(struct ArrowSchema *out, int64_t columns);
// flow_schema_column sets a column; the texts are copied.
int flow_schema_column(struct ArrowSchema *schema, int64_t i, const char *name, const char *format);

// flow_array_new makes a struct array of n columns and some rows, all columns to be set by flow_array_column.
int flow_array_new(struct ArrowArray *out, int64_t rows, int64_t columns);
// flow_array_column sets a column of n buffers (at most 3), which belong to the array from then on.
int flow_array_column(struct ArrowArray *array, int64_t i, int64_t nulls, int64_t buffers, void *first, void *second, void *third);

// flow_stream_new makes the stream of that number of Go's; schema is moved in.
int flow_stream_new(struct ArrowArrayStream *out, int64_t id, struct ArrowSchema *schema);
// flow_stream_fail keeps the text for get_last_error and the error as JSON; both belong to the stream from then on.
void flow_stream_fail(struct ArrowArrayStream *stream, char *text, char *fault);
// flow_stream_fault is the last error as JSON, or NULL; also NULL for a stream that is not ours.
const char *flow_stream_fault(struct ArrowArrayStream *stream);
// flow_stream_id is Go's number of the stream; 0 for a stream that is not ours.
int64_t flow_stream_id(struct ArrowArrayStream *stream);

// flow_forked tells whether this process is a child that was forked after the library was loaded.
int flow_forked(void);
void flow_remember_process(void);

#endif
