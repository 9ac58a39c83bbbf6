import Glibc

/// The work of a proxy's thread. All of it goes through `poll`, so no connection waits for another.
struct ProxyLoop {
    private let listener: CInt
    private let bell: CInt
    private let tap: (@Sendable (Int, Proxy.Direction, [UInt8]) -> Void)?
    private let namer: (@Sendable ([UInt8]) -> String?)?
    private var isListening = true
    private var connections: [ProxyConnection] = []
    private var count = 0

    /// - Parameter listener: a socket that already listens.
    init(
        listener: CInt, bell: CInt, tap: (@Sendable (Int, Proxy.Direction, [UInt8]) -> Void)?,
        namer: (@Sendable ([UInt8]) -> String?)?
    ) {
        self.listener = listener
        self.bell = bell
        self.tap = tap
        self.namer = namer
    }

    /// Runs one turn. Returns false if the proxy is closed. `withState` changes the shared state under its lock.
    mutating func turn(_ withState: ((inout Proxy.State) -> Void) -> Void) -> Bool {
        var conditions = Proxy.Conditions()
        var upstream: UInt16 = 0
        var commands: [Proxy.Command] = []
        var isClosed = false
        var number = 0
        withState { state in
            number = state.made
            conditions = state.conditions
            upstream = state.upstream
            commands = state.commands
            state.commands = []
            isClosed = state.isClosed
        }
        if isClosed {
            for connection in connections { connection.end(reset: true) }
            close(listener)
            withState { $0.live = 0 }
            return false
        }
        if conditions.arrivals == .refused, isListening {
            // Stops listening but keeps the port.
            shutdown(listener, CInt(SHUT_RD))
            isListening = false
        } else if conditions.arrivals != .refused, !isListening {
            listen(listener, 128)
            isListening = true
        }
        for command in commands {
            switch command {
            case .cut(let reset):
                for connection in connections { connection.end(reset: reset) }
                connections = []
            case .inject(let bytes, let direction):
                for place in connections.indices { connections[place].inject(bytes, direction) }
            }
        }
        withState { state in
            state.live = connections.count
            state.inForce = number
        }
        wait(conditions)
        var byte: [UInt8] = Array(repeating: 0, count: 64)
        while read(bell, &byte, byte.count) > 0 {}
        while isListening, let client = Socket.accept(listener) {
            // Reset if the conditions require that, or if the kernel accepted the connection before they changed.
            guard conditions.arrivals == .served, let server = try? Socket.connect(upstream) else {
                Socket.reset(client)
                continue
            }
            Socket.makeNonBlocking(server)
            count += 1
            connections.append(ProxyConnection(count, client: client, server: server, prefix: conditions.prefix, namer: namer))
            withState { $0.accepted += 1 }
        }
        var passed: [Proxy.Direction: Int] = [:]
        let tap = tap
        connections = connections.compactMap { connection in
            var connection = connection
            let number = connection.number
            let conditions = {
                var conditions = Proxy.Conditions()
                withState { conditions = $0.conditions }
                return conditions
            }
            let lives = connection.pump(conditions) { direction, bytes in
                passed[direction, default: 0] += bytes.count
                tap?(number, direction, bytes)
            }
            if !lives { return nil }
            return connection
        }
        withState { state in
            state.live = connections.count
            state.passed.merge(passed, uniquingKeysWith: +)
        }
        return true
    }

    private func wait(_ conditions: Proxy.Conditions) {
        var items = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
        if isListening { items.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
        var limit = Duration.seconds(10)
        for connection in connections { connection.addInterest(conditions, to: &items, &limit) }
        poll(&items, nfds_t(items.count), CInt(clamping: limit.milliseconds))
    }
}

/// A connection through a proxy.
struct ProxyConnection {
    let number: Int
    private var legs: [Leg]
    /// nil if connections have no names.
    private let namer: (@Sendable ([UInt8]) -> String?)?
    /// nil until the first bytes suffice.
    private var name: String?

    /// One direction of the connection.
    private struct Leg {
        var direction: Proxy.Direction
        var source: CInt
        var target: CInt
        /// Parts that have been read but not forwarded; an empty part is the end of the stream.
        var queue: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
        var hasEnded = false
        var isDone = false
        var passed = 0
        var free = ContinuousClock.now
        /// Set while the target takes no more.
        var isBlocked = false

        /// Time at which the next part can be forwarded; nil while there is none.
        func due(_ conditions: Proxy.Conditions) -> ContinuousClock.Instant? {
            guard !conditions.silent.contains(direction), let first = queue.first else { return nil }
            return max(first.due, free)
        }
    }

    init(
        _ number: Int, client: CInt, server: CInt, prefix: [Proxy.Direction: [UInt8]], namer: (@Sendable ([UInt8]) -> String?)?
    ) {
        self.number = number
        self.namer = namer
        legs = [Leg(direction: .toServer, source: client, target: server), Leg(direction: .toClient, source: server, target: client)]
        for (direction, bytes) in prefix where !bytes.isEmpty { inject(bytes, direction) }
    }

    mutating func inject(_ bytes: [UInt8], _ direction: Proxy.Direction) {
        for place in legs.indices where legs[place].direction == direction { legs[place].queue.append((ContinuousClock.now, bytes)) }
    }

    func end(reset: Bool) {
        for leg in legs { if reset { Socket.reset(leg.source) } else { close(leg.source) } }
    }

    /// The conditions for a connection of this name.
    private static func adapt(_ conditions: Proxy.Conditions, _ name: String?, isNamed: Bool) -> Proxy.Conditions {
        guard isNamed else { return conditions }
        var adapted = conditions
        if let name {
            if conditions.silentNames.contains(name) { adapted.silent = [.toServer, .toClient] }
        } else {
            adapted.silent.insert(.toServer)
        }
        return adapted
    }

    private mutating func findName() {
        guard let namer, name == nil, let leg = legs.first(where: { $0.direction == .toServer }) else { return }
        // A client that ends its stream says no more.
        name = namer(leg.queue.flatMap(\.bytes)) ?? (leg.hasEnded ? "" : nil)
    }

    func addInterest(_ conditions: Proxy.Conditions, to items: inout [pollfd], _ limit: inout Duration) {
        let now = ContinuousClock.now
        let conditions = Self.adapt(conditions, name, isNamed: namer != nil)
        for leg in legs {
            if !leg.hasEnded { items.append(pollfd(fd: leg.source, events: Int16(POLLIN), revents: 0)) }
            guard let due = leg.due(conditions) else { continue }
            if leg.isBlocked {
                items.append(pollfd(fd: leg.target, events: Int16(POLLOUT), revents: 0))
            } else {
                limit = min(limit, max(.zero, now.duration(to: due)))
            }
        }
    }

    /// Reads and writes as much as possible. Returns false if the connection has ended and was closed.
    mutating func pump(_ conditions: () -> Proxy.Conditions, _ onPassed: (Proxy.Direction, [UInt8]) -> Void) -> Bool {
        for place in legs.indices {
            let before = Self.adapt(conditions(), name, isNamed: namer != nil)
            guard receive(&legs[place], before) else {
                end(reset: true)
                return false
            }
            findName()
            let (name, isNamed) = (name, namer != nil)
            guard send(&legs[place], { Self.adapt(conditions(), name, isNamed: isNamed) }, onPassed) else {
                end(reset: true)
                return false
            }
        }
        guard legs.allSatisfy(\.isDone) else { return true }
        end(reset: false)
        return false
    }

    /// Returns false if the source has reset the connection.
    private func receive(_ leg: inout Leg, _ conditions: Proxy.Conditions) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while !leg.hasEnded {
            let count = recv(leg.source, &buffer, buffer.count, 0)
            if count < 0 {
                if errno == EINTR { continue }
                // A silent direction does not forward a reset either.
                if errno != EAGAIN, !conditions.silent.contains(leg.direction) { return false }
                if errno != EAGAIN { leg.hasEnded = true }
                break
            }
            if count == 0 { leg.hasEnded = true } else if conditions.lossy.contains(leg.direction) { continue }
            leg.queue.append((ContinuousClock.now + conditions.delay, Array(buffer[..<count])))
        }
        return true
    }

    /// Returns false if the target is gone, or if the connection must be cut here.
    private func send(_ leg: inout Leg, _ present: () -> Proxy.Conditions, _ onPassed: (Proxy.Direction, [UInt8]) -> Void) -> Bool {
        leg.isBlocked = false
        while true {
            let conditions = present()
            guard let due = leg.due(conditions), due <= ContinuousClock.now else { return true }
            let part = leg.queue[0].bytes
            if part.isEmpty {
                leg.queue.removeFirst()
                shutdown(leg.target, CInt(SHUT_WR))
                leg.isDone = true
                continue
            }
            var length = part.count
            if let rate = conditions.bytesPerSecond { length = min(length, max(1, rate / 50)) }
            let rest = conditions.cutAfter[leg.direction].map { max(0, $0 - leg.passed) } ?? length
            length = min(length, rest)
            let count = length == 0 ? 0 : part.withUnsafeBytes { Glibc.send(leg.target, $0.baseAddress, length, CInt(MSG_NOSIGNAL)) }
            if count < 0 {
                if errno == EINTR { continue }
                leg.isBlocked = errno == EAGAIN
                return leg.isBlocked
            }
            leg.passed += count
            if count > 0 { onPassed(leg.direction, Array(part[..<count])) }
            if count == part.count { leg.queue.removeFirst() } else { leg.queue[0].bytes.removeFirst(count) }
            if let rate = conditions.bytesPerSecond { leg.free = ContinuousClock.now + .seconds(Double(count) / Double(max(1, rate))) }
            if count == rest, conditions.cutAfter[leg.direction] != nil { return false }
        }
    }
}
