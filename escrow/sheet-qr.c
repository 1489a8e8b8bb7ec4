/* SPDX-License-Identifier: Apache-2.0 */
/* A QR code as one path of an SVG picture: the only file that knows the library. */
#include "escrow/sheet-private.h"

#include <qrencode.h>

#define QUIET 4 /* modules of white around, as the standard asks */

int cof_sheet_qr(const char *text, struct cof_buf *ret)
{
	QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
	int width, r;

	if (!code)
		return errno == ERANGE || errno == EINVAL ? -EINVAL : -ENOMEM;
	width = code->width;
	cof_buf_printf(ret, "<svg class=\"code\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\"><path d=\"", width + 2 * QUIET,
		       width + 2 * QUIET);
	for (int y = 0; y < width; y++) {
		for (int x = 0, run; x < width; x += run ? run : 1) {
			for (run = 0; x + run < width && code->data[y * width + x + run] & 1; run++)
				;
			if (run)
				cof_buf_printf(ret, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, run, run);
		}
	}
	cof_buf_printf(ret, "\"/></svg>");
	r = ret->failed ? -ENOMEM : 0;
	explicit_bzero(code->data, (size_t)width * (size_t)width);
	QRcode_free(code);
	return r;
}
