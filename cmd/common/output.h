/* What a program has printed on standard output: whether it has arrived. */
#ifndef OUTPUT_H
#define OUTPUT_H

enum output_result {
	OUTPUT_WRITTEN,
	OUTPUT_UNWANTED, /* its reader has closed the pipe: it has seen enough, and there is nothing to complain of */
	OUTPUT_FAILED,   /* logged */
};

/* Write what is still in standard output's buffer, and look how all of it has gone. */
enum output_result output_finish(void);

#endif
