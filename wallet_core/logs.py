"""Logs: one line per event on standard error; JSON, or colours on a terminal."""

import logging
import sys
import threading

import structlog


def set_up_logs(level: str) -> None:
    """Set up logging for this process; *level* is DEBUG, INFO, WARNING or ERROR.

    Logs and warnings of libraries, and uncaught exceptions of threads, have the same form as our own events.
    """
    _take_over_libraries(level, *set_up_own_logs(level))


_Processors = list[structlog.typing.Processor]


def set_up_own_logs(level: str) -> tuple[_Processors, _Processors]:
    """Set up our own events only; return the processors that stamp an event, and those that render it.

    Tracebacks have no locals, which may hold callers' data, bank accounts and keys.
    """
    # It warns at every tick while a job is still running, which is intended.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    stamped: _Processors = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: _Processors = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if sys.stderr.isatty()
        else [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    structlog.configure(
        processors=[*stamped, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    return stamped, rendered


def _take_over_libraries(level: str, stamped: _Processors, rendered: _Processors) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_milder)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *stamped],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.captureWarnings(capture=True)
    log = structlog.get_logger("wallet.process")
    threading.excepthook = lambda left: log.error(
        "thread ended", thread=left.thread.name if left.thread is not None else None, exc_info=left.exc_value
    )
    sys.unraisablehook = lambda left: log.error("error ignored", where=repr(left.object), exc_info=left.exc_value)


def _milder(record: logging.LogRecord) -> bool:
    """Log a lost connection of the pool as a warning without a traceback: the failed call is logged by itself."""
    if record.name.startswith("sqlalchemy.pool"):
        cause = record.exc_info[1] if record.exc_info else None
        record.msg, record.args = f"{record.getMessage()}: {type(cause).__name__}" if cause else record.getMessage(), ()
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return True
