//! Listening sockets: one a core on the same port (SO_REUSEPORT); the kernel spreads connections over them.

#![expect(unsafe_code, reason = "entries name descriptors that the kernel uses")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use io_uring::{cqueue, opcode, types};
use socket2::{Domain, Protocol, Socket, Type};

use super::Stream;
use crate::rt::uring::operations::{Key, Target};
use crate::rt::uring::reactor::Reactor;

/// Connections that the kernel may hold ready for us (bounded further by `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Connections accepted and not yet taken; beyond it they wait in the kernel's backlog.
const ACCEPTED_MAX: usize = 256;

/// How long a port that is to be claimed may stay in use. The kernel takes an io_uring down after its process is gone, and the sockets that
/// waited in it live as long: a broker that is started again right after SIGKILL would find its own port taken.
const CLAIM_WAIT: Duration = Duration::from_secs(1);

const CLAIM_PAUSE: Duration = Duration::from_millis(5);

/// Checks that nobody listens at `address`, and gives the address with its port when that was 0.
///
/// Listeners of several cores share their port, so binding them says nothing about a stranger at the same port: call this once,
/// before the cores bind. Blocks for up to [`CLAIM_WAIT`] while the port is in use.
///
/// # Errors
/// `AddrInUse` when somebody listens there; what else `bind(2)` says.
pub fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    let mut waited = Duration::ZERO;
    loop {
        match listening_socket(address, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && waited < CLAIM_WAIT => {
                nap(CLAIM_PAUSE);
                waited += CLAIM_PAUSE;
            }
            socket => return local_address(&socket?),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no core runs yet")]
fn nap(pause: Duration) {
    std::thread::sleep(pause);
}

/// Accepts connections on this core. Clones share the queue of connections.
#[derive(Clone)]
pub struct Listener {
    handle: Rc<Handle>,
}

/// Ends the accepting when the last clone is gone.
struct Handle {
    accepting: Rc<Accepting>,
    address: SocketAddr,
}

struct Accepting {
    socket: Socket,
    reactor: Rc<Reactor>,
    accepted: RefCell<VecDeque<OwnedFd>>,
    error: RefCell<Option<io::Error>>,
    waker: RefCell<Option<Waker>>,
    armed: Cell<Option<Key>>,
    closed: Cell<bool>,
}

impl Listener {
    /// Listens at `address` beside other listeners of this process.
    ///
    /// # Errors
    /// What `socket(2)`, `bind(2)` and `listen(2)` say.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = listening_socket(address, true)?;
        let address = local_address(&socket)?;
        let accepting = Rc::new(Accepting {
            socket,
            reactor: Reactor::current(),
            accepted: RefCell::default(),
            error: RefCell::default(),
            waker: RefCell::default(),
            armed: Cell::default(),
            closed: Cell::new(false),
        });
        Ok(Self {
            handle: Rc::new(Handle { accepting, address }),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.handle.address
    }

    /// The next connection. One task at a time may wait here.
    ///
    /// # Errors
    /// What `accept(2)` says: with too many open files, accept again once some are closed.
    pub async fn accept(&self) -> io::Result<Stream> {
        let accepting = &self.handle.accepting;
        let descriptor = poll_fn(|context| accepting.poll(context.waker())).await?;
        Ok(Stream::new(Rc::clone(&accepting.reactor), descriptor))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let accepting = &self.accepting;
        accepting.closed.set(true);
        accepting.accepted.borrow_mut().clear();
        if let Some(key) = accepting.armed.get() {
            accepting.reactor.cancel(key);
        }
    }
}

impl Accepting {
    fn poll(self: &Rc<Self>, waker: &Waker) -> Poll<io::Result<OwnedFd>> {
        if let Some(descriptor) = self.accepted.borrow_mut().pop_front() {
            return Poll::Ready(Ok(descriptor));
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        if self.armed.get().is_none() && !self.arm() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        }
        self.waker.replace(Some(waker.clone()));
        Poll::Pending
    }

    fn arm(self: &Rc<Self>) -> bool {
        let entry = opcode::AcceptMulti::new(types::Fd(self.socket.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
            .build();
        // SAFETY: the target owns the socket.
        let key = unsafe { self.reactor.submit_to(entry, Rc::clone(self) as Rc<dyn Target>) };
        self.armed.set(key);
        key.is_some()
    }
}

impl Target for Accepting {
    fn complete(self: Rc<Self>, reactor: &Rc<Reactor>, result: i32, flags: u32) {
        if !cqueue::more(flags) {
            self.armed.set(None);
        }
        if result >= 0 {
            // SAFETY: the kernel made this descriptor for us, and nobody else knows it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(result) };
            if self.closed.get() {
                return;
            }
            let mut accepted = self.accepted.borrow_mut();
            accepted.push_back(descriptor);
            if accepted.len() == ACCEPTED_MAX
                && let Some(key) = self.armed.get()
            {
                reactor.cancel(key);
            }
        } else if ![libc::ECANCELED, libc::EINTR, libc::ECONNABORTED].contains(&-result) {
            self.error.replace(Some(io::Error::from_raw_os_error(-result)));
        }
        let waiter = self.waker.take();
        if let Some(waker) = waiter {
            waker.wake();
        }
    }
}

fn listening_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.cloexec().nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // A listener for IPv4 at the same port is one of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Inherited by every accepted connection, at no system call.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the listener has no internet address"))
}
