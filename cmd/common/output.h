/* Checks whether everything that a program printed on standard output was written. */
#ifndef OUTPUT_H
#define OUTPUT_H

enum output_result {
	OUTPUT_WRITTEN,
	OUTPUT_UNWANTED, /* the reader closed the pipe: this is no error */
	OUTPUT_FAILED,   /* logged */
};

/* Flush standard output, and return whether all output was written. */
enum output_result output_finish(void);

#endif
