import QQCore

/// The links between machines. A message is delayed, so that later ones can overtake it; it is lost, or comes again, as the link's faults
/// have it; and it waits or is lost where a link is cut.
public final class Network {
    /// One direction between two machines.
    struct Link {
        var random: Generator
        /// The shortest time of a message, and by how much others take longer.
        var delay: Nanoseconds
        var jitter: Nanoseconds
        var cuts = 0
        /// What faults add: parts in a million, and time.
        var loss: Int64 = 0
        var repeats: Int64 = 0
        var slowness: Nanoseconds = 0
        /// Messages that the sender's kernel sends again when the link is whole.
        var held: [(_ extra: Nanoseconds) -> Void] = []
    }

    /// The order of the messages of one direction of a connection.
    final class Order {
        var last: Nanoseconds = 0
    }

    private unowned let world: World
    @exclusivity(unchecked) private var links: [Link] = []
    @exclusivity(unchecked) private var size = 0
    /// Calls under way, by server.
    @exclusivity(unchecked) private var calls: [[AnyCall]] = []
    private var pipes: [[Pipe]] = []

    init(world: World) { self.world = world }

    func hostWasAdded() {
        let old = links
        let before = size
        size += 1
        links = []
        for from in 0..<size {
            for to in 0..<size {
                if from < before, to < before {
                    links.append(old[from * before + to])
                } else {
                    var random = world.generator(.link, from << 16 | to)
                    let delay: Nanoseconds = from == to ? .microseconds(20) : random.spread(.microseconds(100)...(.milliseconds(4)))
                    links.append(Link(random: random, delay: delay, jitter: from == to ? .microseconds(50) : delay * 2))
                }
            }
        }
        calls.append([])
        pipes.append([])
    }

    private func index(_ from: Host, _ to: Host) -> Int { from.number * size + to.number }

    // MARK: Faults

    /// Cuts one direction. Cuts add up; `heal` takes one away.
    public func cut(from: Host, to: Host) { links[index(from, to)].cuts += 1 }

    public func heal(from: Host, to: Host) {
        let index = index(from, to)
        guard links[index].cuts > 0 else { return }
        links[index].cuts -= 1
        guard links[index].cuts == 0 else { return }
        let held = links[index].held
        links[index].held = []
        for send in held { send(links[index].random.spread(.microseconds(100)...(.seconds(2)))) }
    }

    public func isCut(from: Host, to: Host) -> Bool { links[index(from, to)].cuts > 0 }

    /// Makes one direction worse: parts in a million that are lost and that come twice, a longest additional delay, and one that each
    /// message has. Negative values take that back.
    public func worsen(
        from: Host, to: Host, loss: Int64 = 0, repeats: Int64 = 0, slowness: Nanoseconds = 0, delay: Nanoseconds = 0
    ) {
        let index = index(from, to)
        links[index].loss += loss
        links[index].repeats += repeats
        links[index].slowness += slowness
        links[index].delay += delay
    }

    /// Stops the servers of a machine: its connections break, and new ones are refused.
    public func takeDown(_ server: Host) {
        server.isUp = false
        let broken = calls[server.number]
        calls[server.number] = []
        for call in broken {
            world.after(time(from: server, to: call.process.host)) { call.fail(CallFailure(.broken, wasSent: true)) }
        }
        for pipe in pipes[server.number] { pipe.serverEnded() }
        pipes[server.number] = []
    }

    public func bringUp(_ server: Host) { server.isUp = true }

    // MARK: Messages

    /// The time that a message takes now.
    private func time(from: Host, to: Host) -> Nanoseconds {
        let index = index(from, to)
        var time = links[index].delay + links[index].random.below(links[index].jitter)
        if links[index].slowness > 0 { time += links[index].random.below(links[index].slowness) }
        return time
    }

    /// Sends a message between two machines, of which at least the receiver's need not run: `arrive` is called there when it comes, and it
    /// does.
    /// - Parameters:
    ///   - order: that of its connection; nil if others can overtake it.
    ///   - canBeLost: whether it can be lost for good; otherwise it is only late.
    ///   - canRepeat: whether it can come twice.
    func send(
        from: Host, to: Host, order: Order? = nil, canBeLost: Bool = true, canRepeat: Bool = false, extra: Nanoseconds = 0,
        _ arrive: @escaping () -> Void
    ) {
        let index = index(from, to)
        var late = extra
        if links[index].cuts > 0 {
            // Some of the messages are still in a connection that is given up.
            if canBeLost, links[index].random.chance(500_000) { return }
            links[index].held.append { [unowned self] extra in
                send(from: from, to: to, order: order, canBeLost: canBeLost, canRepeat: canRepeat, extra: extra, arrive)
            }
            return
        }
        if links[index].loss > 0, links[index].random.chance(links[index].loss) {
            if canBeLost, links[index].random.chance(500_000) { return }
            late += links[index].random.spread(.milliseconds(200)...(.seconds(3)))
        }
        deliver(from: from, to: to, order, late, arrive)
        if canRepeat, links[index].repeats > 0, links[index].random.chance(links[index].repeats) {
            deliver(from: from, to: to, order, late + links[index].random.spread(.microseconds(10)...(.seconds(5))), arrive)
        }
    }

    private func deliver(from: Host, to: Host, _ order: Order?, _ late: Nanoseconds, _ arrive: @escaping () -> Void) {
        var moment = world.now + time(from: from, to: to) + late
        if let order {
            moment = max(moment, order.last + 1)
            order.last = moment
        }
        world.at(moment) { to.run(arrive) }
    }

    // MARK: What is under way

    func began(_ call: AnyCall, at server: Host) { calls[server.number].append(call) }

    func ended(_ call: AnyCall, at server: Host) {
        if let index = calls[server.number].firstIndex(where: { $0 === call }) { calls[server.number].swapRemove(at: index) }
    }

    func began(_ pipe: Pipe, at server: Host) { pipes[server.number].append(pipe) }

    func ended(_ pipe: Pipe, at server: Host) {
        if let index = pipes[server.number].firstIndex(where: { $0 === pipe }) { pipes[server.number].swapRemove(at: index) }
    }

    func close() {
        for index in links.indices { links[index].held = [] }
        calls = []
        pipes = []
    }
}

extension Array {
    /// Removes an element without keeping the order of the others.
    mutating func swapRemove(at index: Int) {
        swapAt(index, count - 1)
        removeLast()
    }
}
