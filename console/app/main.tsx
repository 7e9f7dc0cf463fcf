import { App } from './app'
import { show } from './providers'
import { guardPage } from '../parts/unsaved'

guardPage()
show(<App />)
