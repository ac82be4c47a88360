"""A converge that has nothing to do: ours, stock pyinfra's `@ssh`, Ansible with pipelining, on the same PCs in the same run."""
