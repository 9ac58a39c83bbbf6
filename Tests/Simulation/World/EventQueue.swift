/// What is to happen in a world, by time, and by the order of its planning at the same time: a binary heap.
struct EventQueue {
    struct Event {
        var at: Nanoseconds
        var order: UInt64
        var body: () -> Void

        func isBefore(_ other: Event) -> Bool { at != other.at ? at < other.at : order < other.order }
    }

    private var heap: [Event] = []
    private var last: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }
    var next: Nanoseconds? { heap.first?.at }

    mutating func add(at moment: Nanoseconds, _ body: @escaping () -> Void) {
        last += 1
        let event = Event(at: moment, order: last, body: body)
        heap.append(event)
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard event.isBefore(heap[parent]) else { break }
            heap[index] = heap[parent]
            index = parent
        }
        heap[index] = event
    }

    mutating func removeFirst() -> Event? {
        guard let first = heap.first, let moved = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        var index = 0
        while true {
            var child = index * 2 + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(moved) else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = moved
        return first
    }

    mutating func removeAll() { heap.removeAll() }
}
