//! The only door to the machine: executor, ring, sockets, files, timers, mesh, clock, randomness.
