import QQCore

/// A connection between a process and a server that carries messages either way, in order, until it breaks: for watches, streams and
/// protocols that push.
///
/// Messages are late, never lost, while the connection lives. A cut that lasts longer than `patience` breaks it. Each end learns of that
/// when a kernel would tell it: the other end's machine refuses, or nothing of what was sent is acknowledged for as long as `patience`.
public final class Pipe: Pending, @unchecked Sendable {
    // Used on the world's thread only.
    public let process: SimProcess
    public let server: Host
    /// Called in the process when the connection is broken; not after `close`.
    public var onBreak: () -> Void = {}
    /// Called at the server when the connection is over, for whatever reason.
    public var onServerBreak: () -> Void = {}
    private let toServer = Network.Order()
    private let toProcess = Network.Order()
    private let patience: Nanoseconds
    /// Whether each end takes it for open.
    public private(set) var isOpen = true
    public private(set) var isOpenAtServer = true
    /// The number of messages that are not yet there.
    private var underWay = 0

    public init(_ process: SimProcess, _ server: Host, patience: Duration = .seconds(15)) {
        self.process = process
        self.server = server
        self.patience = patience.nanoseconds
        super.init()
        if process.isDead {
            isOpen = false
            isOpenAtServer = false
            return
        }
        process.add(self)
        process.world.network.began(self, at: server)
    }

    /// Sends a message to the server, where `body` takes it.
    public func sendToServer(_ body: @escaping () -> Void) {
        guard isOpen, !process.isDead else { return }
        watch()
        process.world.network.send(from: process.host, to: server, order: toServer, canBeLost: false) { [self] in
            underWay -= 1
            guard server.isUp else { return breakAtProcess() }
            if isOpenAtServer { body() }
        }
    }

    /// Sends a message to the process, where `body` takes it.
    public func sendToProcess(_ body: @escaping () -> Void) {
        guard isOpenAtServer else { return }
        watch()
        process.world.network.send(from: server, to: process.host, order: toProcess, canBeLost: false) { [self] in
            underWay -= 1
            if isOpen { process.post { if self.isOpen { body() } } }
        }
    }

    /// Breaks the connection if what is sent now is not there in time.
    private func watch() {
        underWay += 1
        if underWay > 1 { return }
        let world = process.world
        func look() {
            world.after(patience) { [weak self] in
                guard let self, underWay > 0, isOpen || isOpenAtServer else { return }
                let network = world.network!
                if network.isCut(from: process.host, to: server) || network.isCut(from: server, to: process.host) {
                    breakAtProcess()
                    breakAtServer()
                } else {
                    look()
                }
            }
        }
        look()
    }

    /// Closes the process's end; the server learns of it.
    public func close() {
        guard isOpen else { return }
        isOpen = false
        process.remove(self)
        tellServer()
    }

    /// Closes the server's end; the process learns of it, after all messages before.
    public func closeAtServer() {
        guard isOpenAtServer else { return }
        sendToProcess { [self] in breakAtProcess() }
        breakAtServer()
    }

    private func tellServer() {
        let world = process.world
        guard isOpenAtServer else { return }
        if world.network.isCut(from: process.host, to: server) { return world.after(patience) { [self] in breakAtServer() } }
        world.network.send(from: process.host, to: server, order: toServer, canBeLost: false) { [self] in breakAtServer() }
    }

    private func breakAtServer() {
        guard isOpenAtServer else { return }
        isOpenAtServer = false
        process.world.network.ended(self, at: server)
        let body = onServerBreak
        onServerBreak = {}
        body()
    }

    private func breakAtProcess() {
        guard isOpen else { return }
        isOpen = false
        process.remove(self)
        let body = onBreak
        onBreak = {}
        process.post(body)
        if isOpenAtServer { tellServer() }
    }

    /// The server has ended.
    func serverEnded() {
        isOpenAtServer = false
        onServerBreak = {}
        process.world.network.send(from: server, to: process.host, order: toProcess, canBeLost: false) { [self] in breakAtProcess() }
    }

    /// The kernel closes a dead process's connections.
    override func processEnded() {
        isOpen = false
        onBreak = {}
        tellServer()
    }
}
