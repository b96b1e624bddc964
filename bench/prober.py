"""Somebody who waits for the application: asks for /docs all the time and notes what comes."""

import http.client
import threading
import time

PERIOD = 0.02


class Prober:
    """Asks from the beginning of a `with` to its end."""

    def __init__(self, port):
        self.port = port
        self.answers = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.probe)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def answers_now(self):
        """Whether /docs is there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/docs")
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def probe(self):
        """Each change is noted with its time."""
        while not self.ended.is_set():
            good, now = self.answers_now(), time.time()
            if not self.answers or self.answers[-1][1] != good:
                self.answers.append((now, good))
            self.ended.wait(PERIOD)

    def first_answer(self, since):
        """When it answered for the first time, in seconds after `since`."""
        return next((at - since for at, good in self.answers if good), None)

    def wait_for_answer(self, after=0, patience=120):
        """Returns when it answers, after so many changes."""
        end = time.time() + patience
        while not (self.answers[after:] and self.answers[-1][1]):
            if time.time() > end:
                raise TimeoutError("the application never answered")
            time.sleep(0.002)

    def downtime(self):
        """From the first probe that failed to the first that held again, in seconds."""
        lost = [at for (at, good), (_, before) in zip(self.answers[1:], self.answers) if before and not good]
        back = [at for at, good in self.answers if good and lost and at > lost[0]]
        return back[-1] - lost[0] if lost else 0.0
