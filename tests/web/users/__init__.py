"""Projects with user models of their own, each in a process of its own: a project has one."""
