/* What went wrong in a script, taken apart for its author: festa dev shows it. */
#pragma once

#include "base/buf.h"
#include "base/span.h"
#include "http/message.h"
#include "script/project.h"

/* What was raised. message may begin with "FILE:LINE: ", else the place is the first one of the traceback's
 * lines; five lines of source around it are read if the file is code of the project's. All is copied. */
struct http_problem *problem_raised(const struct project *project, const char *title, struct span message,
                                    struct span traceback);

/* Why a project can't be opened: the text that project_open leaves, the source in it. */
struct http_problem *problem_loading(struct span text);
