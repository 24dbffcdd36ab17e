// What the threads that compare passwords start with: `make` bundles this into bin/registry-parts/bcrypt-worker.mjs, where
// lib/auth/htpasswd/bcrypt-threads.ts looks for it.
import { answerQuestions } from '../lib/auth/htpasswd/bcrypt-worker.ts'

answerQuestions()
