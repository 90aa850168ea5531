"""What people see: console, progress, summaries. The only room that knows rich."""
