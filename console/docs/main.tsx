import { show } from '../app/providers'
import { Reference } from './reference'
import './docs.css'

show(<Reference />)
