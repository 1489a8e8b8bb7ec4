/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a share, from a descriptor or typed without echo. Never the command line, never the environment. */
#ifndef COFFER_SHARE_READ_H
#define COFFER_SHARE_READ_H

#include "crypto/passphrase.h"
#include "escrow/slip39.h"

#define SHARE_ROOM COF_PASSPHRASE_ROOM
#define SHARE_IDLE 900 /* seconds without a key pressed, unless another number is asked for */

/*
 * words: SHARE_ROOM bytes of secure memory, terminated. fd below 0: asked for on the terminal, word by word or several in
 * a line, four letters of each suffice; what is no word of the list is said at once, with what it is near to, and asked
 * for again. A lone '-' takes back the last word. idle: as of cof_line_ask. -ECANCELED: an empty line before the first word. -EUCLEAN: the words
 * are no share. Only whole words of what can be read are in words.
 */
int share_read(int fd, const char *prompt, unsigned idle, char *words, struct cof_diag *diag);

/* The value of --idle, just read (optarg): EXIT_OK, or what misuse gives. */
int share_take_idle(unsigned *ret);

#endif
