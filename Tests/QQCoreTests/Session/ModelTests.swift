import QQCore
import Testing
import Traits

/// Two sessions and one server in simulated time. Requests are delayed, lost, or applied after their sender gave up on them. Answers are lost or late,
/// and machines sleep. At every step at most one of the sessions is allowed to hold the lease.
@Suite("Two sessions on one lease", .ownThread)
struct ModelTests {
    @Test("two sessions never hold one lease at the same time", arguments: 0..<6)
    func neverTwo(part: Int) async {
        var terms = 0
        for seed in 0..<60 {
            // Let other tests use the few threads.
            await Task.yield()
            var world = World(seed: UInt64(part * 10_000 + seed))
            if let problem = world.run(steps: 300) {
                Issue.record("seed \(part * 10_000 + seed): \(problem)")
                return
            }
            terms += world.elections
        }
        // Despite all these failures, many elections succeed.
        #expect(terms > 120)
    }
}

private struct World {
    struct Item {
        var at: UInt64
        var order: Int
        var body: Body
    }

    enum Body {
        /// A request arrives at the server. The answer goes to the session, unless that has given up on the request.
        case arrival(LeaseSession.Action, from: Int, generation: Int, number: Int, answerDelay: UInt64?)
        case event(LeaseSession.Event, to: Int, generation: Int, number: Int?)
        case timer(to: Int, generation: Int, number: Int)
    }

    struct Client {
        var session: LeaseSession
        var identity: String
        var generation: Int
        var timer = 0
        /// The number of the request in flight.
        var inFlight: Int?
        var ended = false
    }

    var numbers: Numbers
    var now: UInt64 = 1_000_000_000
    var items: [Item] = []
    var order = 0
    var requests = 0
    var clients: [Client] = []
    var elections = 0
    var problem: String?
    // The server.
    var holder: String?
    var token: UInt64 = 0
    var expiry: UInt64 = 0
    let ttl: UInt64 = 9_000_000_000

    init(seed: UInt64) {
        numbers = Numbers(seed: seed)
        for index in 0..<2 { clients.append(makeClient(index, generation: 0)) }
    }

    mutating func makeClient(_ index: Int, generation: Int) -> Client {
        let identity = "\(index)-\(generation)"
        let retry = RetryPolicy(
            maximumRetries: chance(2) ? nil : 2, initial: .milliseconds(100), maximum: .seconds(2), multiplier: 2, jitter: 0.2)
        let waiting: LeaseSession.Waiting = chance(3) ? .no : chance(2) ? .forever : .until(BootInstant(nanoseconds: now + 30_000_000_000))
        let random = Double(numbers.next() % 1000) / 1000
        let session = LeaseSession(
            LeaseSession.Configuration(
                request: AcquireRequest(name: "backup", identity: identity, ttl: .nanoseconds(Int64(ttl))), renewEvery: .seconds(3),
                retry: retry,
                waiting: waiting, campaignsAgain: chance(2), random: { random }))
        return Client(session: session, identity: identity, generation: generation)
    }

    mutating func chance(_ one: UInt64) -> Bool { numbers.next() % one == 0 }

    mutating func delay() -> UInt64 {
        switch numbers.next() % 12 {
        case 0: numbers.next() % 15_000_000_000
        case 1, 2: numbers.next() % 3_000_000_000
        default: numbers.next() % 50_000_000
        }
    }

    mutating func put(_ body: Body, after: UInt64) {
        order += 1
        items.append(Item(at: now + after, order: order, body: body))
    }

    mutating func run(steps: Int) -> String? {
        for index in clients.indices { feed(.start, to: index) }
        for _ in 0..<steps {
            if problem != nil { return problem }
            if chance(40) { now += numbers.next() % 30_000_000_000 }
            if chance(25) { feed(.stop, to: Int(numbers.next() % 2)) }
            if chance(6) { observe(Int(numbers.next() % 2)) }
            for index in clients.indices where clients[index].ended && chance(5) {
                clients[index] = makeClient(index, generation: clients[index].generation + 1)
                feed(.start, to: index)
            }
            guard let next = items.indices.min(by: { (items[$0].at, items[$0].order) < (items[$1].at, items[$1].order) }) else { continue }
            let item = items.remove(at: next)
            now = max(now, item.at)
            take(item.body)
            check()
        }
        return problem
    }

    mutating func take(_ body: Body) {
        switch body {
        case .arrival(let action, let from, let generation, let number, let answerDelay):
            let answer = serve(action)
            if let answerDelay { put(.event(answer, to: from, generation: generation, number: number), after: answerDelay) }
        case .event(let event, let to, let generation, let number):
            guard clients[to].generation == generation else { return }
            if let number {
                // Timeout and answer race: the first one counts.
                guard clients[to].inFlight == number else { return }
                clients[to].inFlight = nil
            }
            feed(event, to: to)
        case .timer(let to, let generation, let number):
            guard clients[to].generation == generation, clients[to].timer == number else { return }
            feed(.timer, to: to)
        }
    }

    mutating func feed(_ event: LeaseSession.Event, to index: Int) {
        let actions = clients[index].session.handle(event, at: BootInstant(nanoseconds: now))
        check()
        for action in actions { carryOut(action, of: index) }
    }

    mutating func carryOut(_ action: LeaseSession.Action, of index: Int) {
        let generation = clients[index].generation
        if clients[index].ended { problem = "an action after the end: \(action)" }
        switch action {
        case .report(.elected): elections += 1
        case .report: break
        case .end: clients[index].ended = true
        case .timer(let at):
            clients[index].timer += 1
            let late = chance(4) ? delay() : 0
            put(
                .timer(to: index, generation: generation, number: clients[index].timer),
                after: (at.nanoseconds > now ? at.nanoseconds - now : 0) + late)
        case .acquire, .waitForTurn, .read, .renew, .release:
            if clients[index].inFlight != nil { problem = "two requests in flight: \(action)" }
            requests += 1
            let number = requests
            clients[index].inFlight = number
            if case .waitForTurn = action {
                let event: LeaseSession.Event = chance(8) ? .waitFailed(down) : .turnCame
                put(.event(event, to: index, generation: generation, number: number), after: delay())
                return
            }
            if chance(8) {
                put(.event(failure(of: action, down), to: index, generation: generation, number: number), after: delay())
                return
            }
            // The request or its answer can be lost, and the request can arrive after its sender has given up on it.
            if !chance(8) {
                put(
                    .arrival(action, from: index, generation: generation, number: number, answerDelay: chance(8) ? nil : delay()),
                    after: delay())
            }
            let timeout: UInt64 = chance(4) ? 12_000_000_000 : 2_000_000_000
            put(.event(failure(of: action, uncertain), to: index, generation: generation, number: number), after: timeout)
        }
    }

    func failure(of action: LeaseSession.Action, _ error: CoordinationError) -> LeaseSession.Event {
        switch action {
        case .acquire: .acquireFailed(error)
        case .renew: .renewFailed(error)
        case .release: .releaseFailed(error)
        default: .readFailed(error)
        }
    }

    // MARK: The server

    var state: ElectionState {
        var state = ElectionState(name: "backup", phase: holder == nil ? .free : now < expiry ? .held : .expired)
        state.leader = holder
        state.token = FencingToken(token)
        return state
    }

    func answer(_ identity: String) -> Grant {
        Grant(
            name: "backup", identity: identity, token: FencingToken(token), ttl: .nanoseconds(Int64(ttl)),
            deadline: BootInstant(nanoseconds: 0),
            acquiredAt: someTime, expiresAt: someTime)
    }

    mutating func serve(_ action: LeaseSession.Action) -> LeaseSession.Event {
        switch action {
        case .acquire(let request):
            let isLed = holder != nil && now < expiry
            if isLed, holder != request.identity { return .refused(state) }
            if !isLed { token += 1 }
            holder = request.identity
            expiry = now + ttl
            return .acquired(answer(request.identity))
        case .renew(let grant):
            guard holder == grant.identity, token == grant.token?.value, now < expiry else { return .renewed(.lost(state)) }
            expiry = now + ttl
            return .renewed(.renewed(answer(grant.identity)))
        case .release(let grant):
            guard holder == grant.identity, token == grant.token?.value else { return .releaseAnswered(.notHeld(state)) }
            holder = nil
            return .releaseAnswered(.released)
        default: return .read(state)
        }
    }

    mutating func observe(_ index: Int) {
        var seen = state
        if chance(3) {
            // A state that was true a while ago, or never.
            seen = ElectionState(name: "backup", phase: chance(2) ? .free : .held)
            seen.leader = chance(2) ? clients[1 - index].identity : clients[index].identity
            seen.token = FencingToken(token > 0 && chance(2) ? token - 1 : token)
        }
        put(.event(.observed(seen), to: index, generation: clients[index].generation, number: nil), after: delay())
    }

    mutating func check() {
        let instant = BootInstant(nanoseconds: now)
        if clients.allSatisfy({ $0.session.held(at: instant) != nil }) { problem = "both hold the lease at \(now)" }
        for client in clients {
            guard let held = client.session.held(at: instant) else { continue }
            if held.identity != holder || held.token?.value != token {
                problem = "\(client.identity) believes that it holds a lease that is not its own"
            }
        }
    }
}
