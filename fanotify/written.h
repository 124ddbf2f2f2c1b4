#pragma once

/*
 * written - has anybody opened a file for writing, or is about to?
 *
 * The kernel counts an open for writing in the inode before it asks us about
 * that open.  It keeps the count to itself, but will not set a mark that
 * ignores events of a file so open, unless told that the mark is to survive
 * writing (fanotify_mark(2)).  So a mark that ignores what nobody asked for is
 * set and taken away again: where there was none to take away, the file is
 * open for writing.
 *
 * This tells of regular files only; devices are not counted.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"

/*
 * True as well where it cannot be told.  fd is an event's, group the fanotify
 * group, and neither's marks are others after than before.
 */
bool written_by_anyone(int group, int fd);
