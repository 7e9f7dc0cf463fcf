/** Express as everybody starts it. */
import { createServer } from 'node:http'
import express from 'express'
import { announce } from './announce.js'

const app = express()
app.get('/', (_req, res) => {
  res.json({ mandateId: '00000000-0000-4000-8000-000000000101', contacts: [{ id: 1, name: 'Ada Lovelace' }] })
})
announce(createServer(app))
