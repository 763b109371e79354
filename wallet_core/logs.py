"""Logs: one line an event on standard error; JSON where a program reads them, colours where a person does."""

import logging
import sys

import structlog


def set_up_logs(level: str) -> None:
    """Set up logging for this process; *level* is DEBUG, INFO, WARNING or ERROR.

    Tracebacks come without locals: those hold callers' words, bank accounts and keys.
    """
    # It warns at every tick that comes while a job still drains, which is as it should be.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    shown: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if sys.stderr.isatty()
        else [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
