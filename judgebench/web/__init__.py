"""Local web pages: the viewer and the page on which people label. Starlette and Jinja2 load only where served."""
