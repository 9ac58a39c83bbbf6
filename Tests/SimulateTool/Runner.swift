import Glibc
import Simulation
import Synchronization

/// Runs the seeds of the systems on a few threads, and reports.
final class Runner: Sendable {
    /// What the threads share.
    private struct State {
        /// The offset of the next seed, for each system.
        var next: [UInt64]
        var totals: [Total]
        var system = 0
        var failure: (system: Int, seed: UInt64)?
    }

    private struct Total {
        var seeds = 0
        var terms = 0
        var works = 0
        var faults = 0
        /// Of a processor.
        var seconds = 0.0
        /// The sum of the hashes of all histories: two runs of the same seeds can be compared by it.
        var history: UInt64 = 0
    }

    private let options: Options
    private let state: Mutex<State>
    private let begun = Runner.now()

    init(_ options: Options) {
        self.options = options
        let count = options.systems.count
        state = Mutex(State(next: Array(repeating: 0, count: count), totals: Array(repeating: Total(), count: count)))
    }

    private static func now(_ clock: clockid_t = CLOCK_MONOTONIC) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// - Returns: whether no rule was broken.
    func run() -> Bool {
        print("seed \(options.seed)")
        // Seen even if the program is killed.
        fflush(nil)
        var threads: [pthread_t] = []
        for _ in 1..<options.workers {
            var thread = pthread_t()
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            // As the main thread's.
            pthread_attr_setstacksize(&attributes, 8 << 20)
            let runner = Unmanaged.passRetained(self).toOpaque()
            let problem = pthread_create(
                &thread, &attributes,
                { pointer in
                    if let pointer { Unmanaged<Runner>.fromOpaque(pointer).takeRetainedValue().work() }
                    return nil
                }, runner)
            if problem == 0 { threads.append(thread) }
        }
        work()
        for thread in threads { pthread_join(thread, nil) }
        report()
        guard let failure = state.withLock({ $0.failure }) else { return true }
        explain(options.systems[failure.system], failure.seed)
        return false
    }

    private func work() {
        while let (index, seed) = next() {
            let system = options.systems[index]
            let schedule = Schedule.draw(seed: seed, for: system)
            let begun = Self.now(CLOCK_THREAD_CPUTIME_ID)
            let result = SimulationResult.of(schedule, system, keeping: options.showsHistory ? 1_000_000 : 1, history: options.showsHistory)
            let seconds = Self.now(CLOCK_THREAD_CPUTIME_ID) - begun
            if options.showsHistory, result.failure == nil {
                for line in result.lines { print(line) }
                print("\(system.name), seed \(seed): history \(String(result.hash, radix: 16))")
            }
            state.withLock { state in
                state.totals[index].seeds += 1
                state.totals[index].terms += result.terms
                state.totals[index].works += result.works
                state.totals[index].faults += result.faults
                state.totals[index].seconds += seconds
                state.totals[index].history &+= result.hash
                // The lowest seed, so that the report does not depend on which thread was faster.
                if result.failure != nil, state.failure.map({ ($0.system, $0.seed) > (index, seed) }) ?? true {
                    state.failure = (index, seed)
                }
            }
        }
    }

    /// The next seed of the next system; nil if all is done. The systems take turns.
    private func next() -> (Int, UInt64)? {
        let elapsed = Self.now() - begun
        return state.withLock { state in
            if state.failure != nil { return nil }
            if let seconds = options.seconds, elapsed >= seconds { return nil }
            for _ in options.systems {
                let index = state.system
                state.system = (state.system + 1) % options.systems.count
                if let seeds = options.seeds, state.next[index] >= seeds { continue }
                if let terms = options.terms, state.totals[index].terms >= terms { continue }
                defer { state.next[index] += 1 }
                return (index, options.seed &+ state.next[index])
            }
            return nil
        }
    }

    private func report() {
        let totals = state.withLock { $0.totals }
        for (system, total) in zip(options.systems, totals) {
            if total.seeds == 0 { continue }
            let rate = total.terms == 0 ? 0 : Int(total.seconds / Double(total.terms) * 1e6)
            print(
                "\(system.name): \(total.seeds) seeds, \(total.terms) terms, \(total.works) commands, \(total.faults) faults, "
                    + "\(Int(total.seconds * 10).description.inTenths) s, \(rate) us a term, history \(String(total.history, radix: 16))")
        }
        print("\(Int((Self.now() - begun) * 10).description.inTenths) s in all")
    }

    /// Prints the failure of a seed, the smallest schedule that fails in the same way, and its history.
    private func explain(_ system: SimulatedSystem, _ seed: UInt64) {
        let whole = Schedule.draw(seed: seed, for: system)
        let first = SimulationResult.of(whole, system)
        guard let failure = first.failure else {
            print("\(system.name), seed \(seed): failed, and did not when it was run again: something in it is not repeatable")
            return
        }
        print("\n\(system.name), seed \(seed), \(failure.rule.rawValue): \(failure.words)")
        let schedule = options.shrinks ? Shrinker.shrink(whole, system, failure.rule) : whole
        let result = options.shrinks ? SimulationResult.of(schedule, system) : first
        print("")
        for line in schedule.lines { print(line) }
        print("")
        for line in options.showsHistory ? result.lines : Array(result.lines.suffix(120)) { print(line) }
        if let failure = result.failure { print("\n\(failure.rule.rawValue): \(failure.words)") }
        print("again: simulate --system \(system.name) --seed \(seed)")
    }
}

extension String {
    /// A number of tenths as one with a decimal point.
    fileprivate var inTenths: String { count < 2 ? "0." + self : dropLast() + "." + suffix(1) }
}
