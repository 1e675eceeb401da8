"""Operators: work that needs no code of one's own, as a task, a step, or `ctx.step(Command(...))`."""

from hookline.jobs.operators.command import Command, CommandFailed
from hookline.jobs.operators.github import GitHubComment, GitHubStatus
from hookline.jobs.operators.http import Delete, Get, HttpRequest, Patch, Post, Put, RequestFailed, RequestRefused

__all__ = [
    "Command",
    "CommandFailed",
    "Delete",
    "Get",
    "GitHubComment",
    "GitHubStatus",
    "HttpRequest",
    "Patch",
    "Post",
    "Put",
    "RequestFailed",
    "RequestRefused",
]
