import CoreMetrics
import Synchronization

/// The metrics that were made, and their values, for tests.
final class RecordedMetrics: MetricsFactory {
    /// A value of a metric. The last one counts for a gauge, and the sum for a counter.
    private struct Series: Sendable {
        var sum: Int64 = 0
        var last: Double?
        var count = 0
    }

    private let all = Mutex<[String: Series]>([:])

    /// The name of a series, with its dimensions in the order in which they were given.
    static func name(_ label: String, _ dimensions: [(String, String)]) -> String {
        label + "{" + dimensions.map { "\($0.0)=\($0.1)" }.joined(separator: ",") + "}"
    }

    var names: Set<String> { all.withLock { Set($0.keys) } }
    func sum(_ name: String) -> Int64? { all.withLock { $0[name]?.sum } }
    func last(_ name: String) -> Double? { all.withLock { $0[name]?.last } }
    func count(_ name: String) -> Int? { all.withLock { $0[name]?.count } }

    private final class Handler: CounterHandler, RecorderHandler, TimerHandler, FloatingPointCounterHandler, MeterHandler {
        let metrics: RecordedMetrics
        let name: String

        init(_ metrics: RecordedMetrics, _ name: String) {
            self.metrics = metrics
            self.name = name
            metrics.all.withLock { $0[name] = $0[name] ?? Series() }
        }

        private func take(_ value: Double, adding sum: Int64) {
            metrics.all.withLock {
                $0[name, default: Series()].sum += sum
                $0[name, default: Series()].last = value
                $0[name, default: Series()].count += 1
            }
        }

        func increment(by amount: Int64) { take(Double(amount), adding: amount) }
        func increment(by amount: Double) { take(amount, adding: Int64(amount)) }
        func decrement(by amount: Double) { take(-amount, adding: -Int64(amount)) }
        func reset() {}
        func record(_ value: Int64) { take(Double(value), adding: value) }
        func record(_ value: Double) { take(value, adding: Int64(value)) }
        func set(_ value: Int64) { take(Double(value), adding: 0) }
        func set(_ value: Double) { take(value, adding: 0) }
        func recordNanoseconds(_ duration: Int64) { take(Double(duration), adding: duration) }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { Handler(self, Self.name(label, dimensions)) }
    func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        Handler(self, Self.name(label, dimensions))
    }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handler(self, Self.name(label, dimensions))
    }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { Handler(self, Self.name(label, dimensions)) }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Handler(self, Self.name(label, dimensions)) }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
