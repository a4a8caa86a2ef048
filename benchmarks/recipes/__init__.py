"""Real tasks: a file each, with the data, the network and how it is trained; `TASKS` lists them by name."""

from __future__ import annotations

from recipes import adding, attention, characters, digits, tables
from recipes.task import Task

TASKS: dict[str, Task] = {
    task.name: task for file in (digits, tables, adding, characters, attention) for task in file.TASKS
}
